"""reference: the initial policy, preference pairs -> data/reference/, summed response log-probs in nats,
shared by all DPO runs of one dpo.temporal_decay"""

from picollm.batching.encode import encode_pairs
from picollm.core import config, entry, files
from picollm.logprobs.rows import pair_logps
from picollm.logprobs.settings import Score, TemporalDecay
from picollm.model import runtime
from picollm.model.directory import load_model_and_tokenizer
from picollm.model.settings import Compute
from picollm.records.jsonl import read_preferences
from picollm.text.settings import Truncation


def main():
    p = config.load(Compute, Truncation, Score, TemporalDecay)
    device = runtime.set_up(p.deterministic, p.precision)
    model, tokenizer = load_model_and_tokenizer("models/initial")
    model.to(device)
    for split in ("train", "validation"):
        records = read_preferences(f"data/pairs/{split}.jsonl")
        pairs = encode_pairs(records, tokenizer, model.config.max_position_embeddings, p.truncate)
        logps = pair_logps(model, pairs, p.score.batch_size, p.precision, p.dpo.temporal_decay)
        rows = (
            {"id": record.id, "chosen_logps": chosen, "rejected_logps": rejected}
            for record, (chosen, rejected) in zip(records, logps.tolist(), strict=True)
        )
        files.write_jsonl(f"data/reference/{split}.jsonl", rows)


if __name__ == "__main__":
    entry.run(main)
