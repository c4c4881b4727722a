"""pretrain: tokens -> models/base/; an imported base checkpoint is only evaluated on the validation tokens and copied"""

from pathlib import Path

from picollm.batching.rows import DocumentRows
from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.model.directory import load_model_and_tokenizer
from picollm.model.initialise import initialise
from picollm.model.settings import Compute, ModelShape
from picollm.model.transformer import Transformer
from picollm.text.tokenizer import load_tokenizer
from picollm.text.tokens import Tokens
from picollm.training import distributed, resume
from picollm.training.language_model import language_modelling
from picollm.training.loop import fit
from picollm.training.preview import preview
from picollm.training.run import History, Run, write_results
from picollm.training.settings import Parallel, Pretrain


def main():
    p = config.load(Seed, Compute, Parallel, ModelShape, Pretrain)
    device = distributed.set_up(p.deterministic, p.precision)
    state = resume.acquire("pretrain", p)
    base = Path("data/base/model")
    if base.is_dir():
        model, tokenizer = load_model_and_tokenizer(base)
    else:
        tokenizer = load_tokenizer("data/tokenizer")
        model = Transformer(p.model.config(tokenizer.vocab_size))
        initialise(model, p.seed)
    context = model.config.max_position_embeddings
    distributed.place(model, device, p.strategy)
    counts = files.read_json("data/tokens/counts.json")
    run = Run(
        name="pretrain",
        model=model,
        objective=language_modelling,
        train=DocumentRows(Tokens("data/tokens/train.npy"), context),
        validation=DocumentRows(Tokens("data/tokens/validation.npy"), context),
        settings=p.pretrain,
        steps=p.pretrain.steps if not base.is_dir() else 0,
        seed=(p.seed,),
        precision=p.precision,
        strategy=p.strategy,
        compile=p.compile,
        tokens_per_byte=(counts["validation.tokens"] - counts["validation.documents"])
        / counts["validation.utf8_bytes"],
    )
    history = History()
    for step in fit(run, history, state):
        if tokenizer.bos:  # a base without bos has nothing that the first token could follow
            print(f"pretrain: a text at step {step}: {preview(model, tokenizer, prompt='')}", flush=True)
    write_results(run, history, tokenizer, "models/base", "plots/pretrain", "metrics/details/pretrain.json")
    state.remove()
    distributed.shutdown()


if __name__ == "__main__":
    entry.run(main)
