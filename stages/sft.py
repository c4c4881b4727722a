"""sft: base model, SFT rows, monitor pairs -> models/sft/, with the pairs' log-probs logged at every validation"""

from picollm.batching.encode import encode_pairs, encode_sft
from picollm.core import config, entry, files
from picollm.core.config import Seed
from picollm.logprobs.rows import pair_logps, response_bytes, response_tokens
from picollm.model.directory import load_model_and_tokenizer
from picollm.model.lora import with_adapters
from picollm.model.settings import Compute
from picollm.records.jsonl import read_preferences, read_sft
from picollm.text.settings import Truncation
from picollm.training import distributed, resume
from picollm.training.language_model import language_modelling
from picollm.training.loop import fit, steps_for
from picollm.training.preview import preview
from picollm.training.run import History, Run, write_results
from picollm.training.settings import Parallel, Sft

MONITOR = ["step", "logps/chosen", "logps/rejected"]


def main():
    p = config.load(Seed, Compute, Parallel, Truncation, Sft)
    device = distributed.set_up(p.deterministic, p.precision)
    state = resume.acquire("sft", p)
    model, tokenizer = load_model_and_tokenizer("models/base")
    context = model.config.max_position_embeddings
    train, validation = (read_sft(f"data/sft/{split}.jsonl") for split in ("train", "validation"))
    pairs = read_preferences("data/sft/monitor.jsonl")
    monitor = encode_pairs(pairs, tokenizer, context, p.truncate)
    train_rows, validation_rows = (
        encode_sft(records, tokenizer, context, p.truncate) for records in (train, validation)
    )
    if p.sft.lora:
        model = with_adapters(model, p.sft.lora, p.seed)
    distributed.place(model, device, p.strategy)
    run = Run(
        name="sft",
        model=model,
        objective=language_modelling,
        train=train_rows,
        validation=validation_rows,
        settings=p.sft,
        steps=steps_for(p.sft.epochs, len(train), p.sft.batch_size),
        seed=(p.seed,),
        precision=p.precision,
        strategy=p.strategy,
        compile=p.compile,
        tokens_per_byte=response_tokens(validation_rows).sum()
        / response_bytes(validation_rows, validation, tokenizer).sum(),
    )
    history = History()
    for step in fit(run, history, state):
        if pairs:
            means = pair_logps(model, monitor, p.sft.micro_batch_size, p.precision).mean(axis=0).tolist()
            history.monitor.append(dict(zip(MONITOR, [step, *means], strict=True)))
        print(f"sft: a story at step {step}: {preview(model, tokenizer, validation[0].prompt)}", flush=True)
    write_results(run, history, tokenizer, "models/sft", "plots/sft", "metrics/details/sft.json", "models/base")
    if distributed.is_main():
        files.write_csv("plots/sft/monitor.csv", MONITOR, history.monitor)
    state.remove()
    distributed.shutdown()


if __name__ == "__main__":
    entry.run(main)
