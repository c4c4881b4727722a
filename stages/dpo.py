"""dpo: SFT model, preference pairs, reference log-probs -> models/dpo/"""

from picollm import distributed, entry, params, resume
from picollm.checkpoint import load_model_and_tokenizer
from picollm.data.encode import encode_pairs
from picollm.data.records import read_preferences
from picollm.data.rows import PairRows
from picollm.losses import starting_loss
from picollm.objectives import preference
from picollm.run import History, Run, write_results
from picollm.scoring import read_reference
from picollm.train import check_start, fit, steps_for


def main():
    p = params.load("seed", "deterministic", "truncate", "precision", "strategy", "compile", "dpo")
    device = distributed.set_up(p.deterministic, p.precision)
    state = resume.acquire("dpo", p)
    model, tokenizer = load_model_and_tokenizer("models/sft")
    context = model.config.max_position_embeddings
    rows = {}
    for split in ("train", "validation"):
        records = read_preferences(f"data/preferences/{split}.jsonl")
        reference = read_reference(f"data/reference/{split}.jsonl", records)
        pairs = encode_pairs(records, tokenizer, context, p.truncate)
        rows[split] = PairRows(*pairs, reference)
    distributed.place(model, device, p.strategy)
    run = Run(
        name="dpo",
        model=model,
        objective=preference(p.dpo.loss, p.dpo.beta, p.dpo.label_smoothing, p.dpo.sft_weight),
        train=rows["train"],
        validation=rows["validation"],
        settings=p.dpo,
        steps=steps_for(p.dpo.epochs, len(rows["train"].lengths), p.dpo.batch_size),
        seed=p.seed,
        precision=p.precision,
        strategy=p.strategy,
        compile=p.compile,
    )
    check_start(run, starting_loss(p.dpo.loss, p.dpo.beta, p.dpo.label_smoothing))
    history = History()
    for _ in fit(run, history, state):
        pass
    write_results(run, history, tokenizer, "models/dpo", "plots/dpo", "metrics/dpo.json")
    state.remove()
    distributed.shutdown()


if __name__ == "__main__":
    entry.run(main)
