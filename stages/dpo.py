"""dpo: SFT model, preference pairs, reference log-probs -> models/dpo/"""

from picollm import entry, params, runtime
from picollm.checkpoint import load_model_and_tokenizer, save_model
from picollm.data.encode import encode_pairs
from picollm.data.records import read_preferences
from picollm.data.rows import PairRows
from picollm.losses import starting_loss
from picollm.objectives import preference
from picollm.scoring import read_reference
from picollm.train import History, Run, check_start, fit, steps_for


def main():
    p = params.load("seed", "truncate", "precision", "dpo")
    device = runtime.set_up()
    model, tokenizer = load_model_and_tokenizer("models/sft")
    context = model.config.max_position_embeddings
    rows = {}
    for split in ("train", "validation"):
        records = read_preferences(f"data/preferences/{split}.jsonl")
        reference = read_reference(f"data/reference/{split}.jsonl", records)
        pairs = encode_pairs(records, tokenizer, context, p.truncate)
        rows[split] = PairRows(*pairs, tokenizer.pad_id, reference)
    run = Run(
        name="dpo",
        model=model.to(device),
        objective=preference(p.dpo.loss, p.dpo.beta, p.dpo.label_smoothing, p.dpo.sft_weight),
        train=rows["train"],
        validation=rows["validation"],
        settings=p.dpo,
        steps=steps_for(p.dpo.epochs, len(rows["train"].lengths), p.dpo.batch_size),
        seed=p.seed,
        precision=p.precision,
    )
    check_start(run, starting_loss(p.dpo.loss, p.dpo.beta, p.dpo.label_smoothing))
    history = History()
    for _ in fit(run, history):
        pass
    save_model("models/dpo", model, tokenizer)
    history.write(run, "plots/dpo", "metrics/dpo.json")


if __name__ == "__main__":
    entry.run(main)
