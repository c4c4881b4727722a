import pytest

from picollm.core.config import Parameters
from picollm.core.errors import ParamsError
from picollm.preference.losses import LOSSES
from picollm.preference.settings import Dpo, keywords


def load(folder, *changes: tuple[str, str]) -> Dpo:
    """Dpo of a params.yaml with changed lines, one micro-batch holding 4 of the batch's 8 pairs."""
    values = dict(seed="1", loss="sigmoid", beta="0.3", label_smoothing="0.0", divergence="reverse_kl", sft_weight="0.0", epochs="1",
        snapshots="0", temporal_decay="1.0", kl_weight="0.0", lora="null",
                  divergence_alpha="null", discopop_tau="null", dpop_lambda="null", length_alpha="null", simpo_gamma="null",
                  optimizer="adamw", lr="0.1", batch_size="8", micro_batch_size="4", warmup="0", final_lr="0",
                  weight_decay="0", grad_clip="1", log_every="1", validate_every="1", checkpoint_every="1", patience="1")  # fmt: skip
    lines = "\n".join(f"  {key}: {value}" for key, value in (values | dict(changes)).items())
    (folder / "presets").mkdir(exist_ok=True)
    (folder / "presets/tiny.yaml").write_text("vocabulary: 300\n")
    (folder / "params.yaml").write_text(f"preset: tiny\ndpo:\n{lines}\n")
    return Parameters(folder).validated(Dpo)


def test_a_loss_is_a_name_or_a_weighted_sum(tmp_path):
    assert load(tmp_path).loss == {"sigmoid": 1.0}
    assert load(tmp_path, ("loss", "{sigmoid: 0.8, bco_pair: 1}")).loss == {"sigmoid": 0.8, "bco_pair": 1.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("loss", "logistic")], r"dpo.loss: 'logistic': expected a loss .* the losses are sigmoid, robust, ipo,"),
        ([("loss", "3")], "dpo.loss: 3: expected a loss"),
        ([("loss", "[sigmoid, hinge]")], "dpo.loss: .*: expected a loss"),
        ([("loss", "{}")], "dpo.loss: {}: expected a loss"),
        ([("loss", "{sigmoid: 0}")], "dpo.loss: .*: expected a weight above 0"),
        ([("loss", "{sigmoid: true}")], "dpo.loss: .*: expected a weight above 0"),
        ([("loss", "{sigmoid: .inf}")], "dpo.loss: .*: expected a weight above 0"),
        ([("loss", "aot")], r"dpo.loss: 'aot': aot compares all pairs .* dpo.micro_batch_size \(4\) of at least .* \(8\)"),
        ([("loss", "r_dpo"), ("length_alpha", "0.1"), ("temporal_decay", "0.9")], "r_dpo counts all .* expected dpo.temporal_decay 1.0"),
        ([("temporal_decay", "0")], "dpo.temporal_decay: 0: Input should be greater than 0"),
        ([("temporal_decay", "1.5")], "dpo.temporal_decay: 1.5: Input should be less than or equal to 1"),
        ([("kl_weight", "-1")], "dpo.kl_weight: -1: Input should be greater than or equal to 0"),
        ([("loss", "hinge"), ("label_smoothing", "0.1")], r"label_smoothing: 0.1: the loss hinge has no such .* expected 0.0"),
        ([("loss", "bco_pair"), ("divergence", "js")], "dpo.divergence: 'js': the loss bco_pair has no such .* expected reverse_kl"),
        ([("simpo_gamma", "0.5")], "dpo.simpo_gamma: 0.5: the loss sigmoid has no such setting: expected null"),
        ([("loss", "simpo")], "dpo.simpo_gamma: None: expected a number: it is a setting of the loss simpo"),
        ([("loss", "exo_pair")], "dpo.label_smoothing: 0.0: the loss exo_pair needs a value above 0"),
        ([("loss", "robust"), ("label_smoothing", "0.5")], "dpo.label_smoothing: 0.5: Input should be less than 0.5"),
        ([("divergence", "alpha")], "dpo.divergence_alpha: None: expected a number other than 1"),
        ([("divergence", "alpha"), ("divergence_alpha", "1")], "dpo.divergence_alpha: 1: expected a number other than 1"),
        ([("divergence_alpha", "0.5")], "dpo.divergence_alpha: 0.5: expected null unless dpo.divergence is alpha"),
    ],
)  # fmt: skip
def test_what_a_loss_cannot_use_is_refused(tmp_path, changes, message):
    with pytest.raises(ParamsError, match=message):
        load(tmp_path, *changes)


def test_a_setting_that_one_loss_of_a_sum_uses_is_accepted(tmp_path):
    settings = load(tmp_path, ("loss", "{sigmoid: 1, bco_pair: 1}"), ("label_smoothing", "0.1"))
    assert [list(function.keywords) for function, _ in settings.losses()] == [
        ["beta", "label_smoothing", "divergence"],
        ["beta"],
    ]


def test_every_keyword_of_a_loss_is_a_setting():
    assert {key for name in LOSSES for key in keywords(name)} <= Dpo.model_fields.keys()


SETTINGS = sorted({setting for name in LOSSES for setting in keywords(name)} - {"beta"})


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_setting_of_a_loss_is_without_effect(tmp_path, setting):
    """bco_pair has beta alone, so it must refuse all others."""
    assert keywords("bco_pair") == ["beta"]
    with pytest.raises(ParamsError, match=f"dpo.{setting}: .*: the loss bco_pair has no such setting"):
        load(tmp_path, ("loss", "bco_pair"), (setting, "js" if setting == "divergence" else "0.25"))
