"""pretrain: tokens -> models/base/, or the user's own base checkpoint, measured on the same validation tokens"""

import torch

from picollm import distributed, entry, files, params, resume
from picollm.checkpoint import base_checkpoint, check_vocabulary, load_model
from picollm.data.rows import DocumentRows
from picollm.data.tokens import Tokens
from picollm.initialise import initialise
from picollm.model import Transformer
from picollm.objectives import language_modelling
from picollm.run import History, Run, write_results
from picollm.sampling import preview
from picollm.tokenizer import load_tokenizer
from picollm.train import fit


def main():
    p = params.load("seed", "deterministic", "precision", "strategy", "compile", "model", "pretrain")
    device = distributed.set_up(p.deterministic, p.precision)
    state = resume.acquire("pretrain", p)
    tokenizer = load_tokenizer("data/tokenizer")
    base = base_checkpoint("data/base")
    if base is None:
        model = Transformer(p.model.shape(tokenizer.vocab_size))
        initialise(model, torch.Generator().manual_seed(p.seed))
    else:
        model = load_model(base)
        check_vocabulary(model.config, tokenizer, base)
    context = model.config.max_position_embeddings
    distributed.place(model, device, p.strategy)
    counts = files.read_json("metrics/tokens.json")
    run = Run(
        name="pretrain",
        model=model,
        objective=language_modelling,
        train=DocumentRows(Tokens("data/tokens/train.npy"), context),
        validation=DocumentRows(Tokens("data/tokens/validation.npy"), context),
        settings=p.pretrain,
        steps=p.pretrain.steps if base is None else 0,
        seed=p.seed,
        precision=p.precision,
        strategy=p.strategy,
        compile=p.compile,
        tokens_per_byte=(counts["validation.tokens"] - counts["validation.documents"])
        / counts["validation.utf8_bytes"],
    )
    history = History()
    for step in fit(run, history, state):
        print(f"pretrain: a text at step {step}: {preview(model, tokenizer, prompt='')}", flush=True)
    write_results(run, history, tokenizer, "models/base", "plots/pretrain", "metrics/pretrain.json")
    state.remove()
    distributed.shutdown()


if __name__ == "__main__":
    entry.run(main)
