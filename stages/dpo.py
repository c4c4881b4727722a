"""dpo: the initial policy, preference pairs, reference log-probs -> models/dpo/, models/snapshots/"""

import copy
from pathlib import Path

from picollm.batching.encode import encode_pairs
from picollm.core import config, entry
from picollm.core.config import Seed
from picollm.model.directory import load_model_and_tokenizer
from picollm.model.lora import with_adapters
from picollm.model.settings import Compute
from picollm.preference.objective import preference
from picollm.preference.reference import check_reference, read_reference
from picollm.preference.settings import Dpo
from picollm.preference.snapshots import Snapshots
from picollm.records.jsonl import read_preferences
from picollm.text.settings import Truncation
from picollm.training import distributed, resume
from picollm.training.loop import fit, steps_for
from picollm.training.run import History, Run, write_results
from picollm.training.settings import Parallel


def main():
    p = config.load(Seed, Compute, Parallel, Truncation, Dpo)
    device = distributed.set_up(p.deterministic, p.precision)
    state = resume.acquire("dpo", p)
    model, tokenizer = load_model_and_tokenizer("models/initial")
    context = model.config.max_position_embeddings
    rows = {}
    for split in ("train", "validation"):
        records = read_preferences(f"data/pairs/{split}.jsonl")
        reference = read_reference(f"data/reference/{split}.jsonl", [record.id for record in records])
        rows[split] = encode_pairs(records, tokenizer, context, p.truncate, reference)
    reference_model = None
    if p.dpo.kl_weight:
        reference_model = model if p.dpo.lora else copy.deepcopy(model).requires_grad_(False)
    if p.dpo.lora:
        model = with_adapters(model, p.dpo.lora, p.seed)
    for placed in filter(None, (model, reference_model)):
        distributed.place(placed, device, p.strategy)
    run = Run(
        name="dpo",
        model=model,
        objective=preference(p.dpo, reference_model),
        train=rows["train"],
        validation=rows["validation"],
        settings=p.dpo,
        steps=steps_for(p.dpo.epochs, len(rows["train"].lengths), p.dpo.batch_size),
        seed=(p.seed, p.dpo.seed),
        precision=p.precision,
        strategy=p.strategy,
        compile=p.compile,
    )
    check_reference(run)
    history = History()
    snapshots = Snapshots(run, state, tokenizer, p.dpo.snapshots)
    for step in fit(run, history, state):
        snapshots.keep(step)
    snapshots.write(Path("models/snapshots"), history.steps)
    write_results(run, history, tokenizer, "models/dpo", "plots/dpo", "metrics/details/dpo.json", "models/initial")
    state.remove()
    distributed.shutdown()


if __name__ == "__main__":
    entry.run(main)
