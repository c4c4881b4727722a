import pytest
import torch

from picollm.training.optim import EMBEDDING_EPS, make_optimizers, schedule
from tests.tiny import tiny_model, training


def test_the_schedule_warms_up_linearly_and_ends_at_its_final_share():
    settings = training(warmup=0.2, final_lr=0.1)
    assert [schedule(step, 10, settings) for step in (0, 1)] == [0.5, 1.0]
    # Half of the remaining eight steps: 0.1 + 0.9 * (1 + cos(pi / 2)) / 2 = 0.55.
    assert schedule(6, 10, settings) == pytest.approx(0.55)
    assert schedule(10, 10, settings) == pytest.approx(0.1)


@pytest.mark.parametrize("tied", [True, False])
def test_adamw_updates_all_parameters_and_muon_the_matrices_of_the_layers(tied):
    model = tiny_model()
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    parameters = dict(model.named_parameters())

    def updated(optimizer):
        return sorted(id(p) for group in optimizer.param_groups for p in group["params"])

    (adamw,) = make_optimizers(parameters, training(optimizer="adamw"))
    assert updated(adamw) == sorted(map(id, parameters.values()))
    adamw, muon = make_optimizers(parameters, training(optimizer="muon"))
    layers = [id(p) for name, p in parameters.items() if ".layers." in name and p.ndim == 2]
    assert updated(muon) == sorted(layers)
    assert updated(adamw) == sorted({id(p) for p in parameters.values()} - set(layers))


def test_a_muon_update_is_orthogonal_and_has_the_size_of_adamws():
    model = tiny_model()
    weight = model.model.layers[0].mlp.down_proj.weight
    before = weight.detach().clone()
    optimizers = make_optimizers(dict(model.named_parameters()), training(optimizer="muon", lr=1e-3, weight_decay=0.0))
    weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) ** 3
    optimizers[1].step()
    update = (weight.detach() - before) / 1e-3
    singular = torch.linalg.svdvals(update) / (0.2 * max(weight.shape) ** 0.5)
    assert singular.min() > 0.5 and singular.max() < 1.3  # Newton-Schulz with five steps: about 0.7 to 1.2
    assert 0.1 < update.square().mean().sqrt() < 0.3  # AdamW's is about 0.2 (Liu et al. 2025)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_tokens_that_do_not_occur_keep_their_embeddings(optimizer):
    """Their gradients are tiny and alike; AdamW would give them steps of full size, all in one direction."""
    model = tiny_model()
    embedding = model.model.embed_tokens.weight
    before = embedding.detach().clone()
    optimizers = make_optimizers(dict(model.named_parameters()), training(optimizer=optimizer, lr=1e-2))
    scale = 1 / embedding.numel() ** 0.5  # the root mean square of a gradient of norm 1
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    embedding.grad[0], embedding.grad[1] = scale, 1e-3 * scale
    optimizers[0].step()
    moved = (embedding.detach() - before).abs().mean(1)
    assert moved[0].item() == pytest.approx(1e-2 / (1 + EMBEDDING_EPS), rel=0.01)
    assert moved[1] < 0.05 * moved[0]
    assert torch.equal(embedding[2], before[2])  # no weight decay either
