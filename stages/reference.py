"""reference: SFT model, preference pairs -> data/reference/, the summed log-probs that every DPO run shares"""

from picollm import entry, files, params, runtime
from picollm.checkpoint import load_model_and_tokenizer
from picollm.data.encode import encode_pairs
from picollm.data.records import read_preferences
from picollm.data.rows import PairRows
from picollm.scoring import pair_logps


def main():
    p = params.load("deterministic", "truncate", "precision", "evaluate")
    device = runtime.set_up(p.deterministic, p.precision)
    model, tokenizer = load_model_and_tokenizer("models/sft")
    model.to(device)
    for split in ("train", "validation"):
        records = read_preferences(f"data/preferences/{split}.jsonl")
        pairs = encode_pairs(records, tokenizer, model.config.max_position_embeddings, p.truncate)
        logps = pair_logps(model, PairRows(*pairs), p.evaluate.batch_size, p.precision)
        rows = (
            {"id": record.id, "chosen_logps": chosen, "rejected_logps": rejected}
            for record, (chosen, rejected) in zip(records, logps.tolist(), strict=True)
        )
        files.write_jsonl(f"data/reference/{split}.jsonl", rows)


if __name__ == "__main__":
    entry.run(main)
