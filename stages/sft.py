"""sft: base model, SFT rows -> models/sft/; the monitor pairs' log-probs are followed while training"""

from picollm import entry, files, params, runtime
from picollm.checkpoint import load_model_and_tokenizer, save_model
from picollm.data.encode import encode_pairs, encode_sft
from picollm.data.records import read_preferences, read_sft
from picollm.data.rows import PairRows, ResponseRows
from picollm.objectives import language_modelling
from picollm.sampling import preview
from picollm.scoring import pair_logps, response_bytes, response_tokens
from picollm.train import History, Run, fit, steps_for


def main():
    p = params.load("seed", "truncate", "precision", "sft")
    device = runtime.set_up()
    model, tokenizer = load_model_and_tokenizer("models/base")
    context = model.config.max_position_embeddings
    train, validation = (read_sft(f"data/sft/{split}.jsonl") for split in ("train", "validation"))
    monitor = PairRows(
        *encode_pairs(read_preferences("data/sft/monitor.jsonl"), tokenizer, context, p.truncate), tokenizer.pad_id
    )
    train_rows, validation_rows = (
        ResponseRows(*encode_sft(records, tokenizer, context, p.truncate), tokenizer.pad_id)
        for records in (train, validation)
    )
    run = Run(
        name="sft",
        model=model.to(device),
        objective=language_modelling,
        train=train_rows,
        validation=validation_rows,
        settings=p.sft,
        steps=steps_for(p.sft.epochs, len(train), p.sft.batch_size),
        seed=p.seed,
        precision=p.precision,
        tokens_per_byte=response_tokens(validation_rows) / response_bytes(validation),
    )
    history, monitored = History(), []
    for step in fit(run, history):
        logps = pair_logps(model, monitor, p.sft.micro_batch_size, p.precision).mean(axis=0)
        monitored.append({"step": step, "chosen_logps": logps[0], "rejected_logps": logps[1]})
        print(f"sft: a story at step {step}: {preview(model, tokenizer, validation[0].prompt)}", flush=True)
    save_model("models/sft", model, tokenizer)
    history.write(run, "plots/sft", "metrics/sft.json")
    files.write_csv("plots/sft/monitor.csv", list(monitored[0]), monitored)


if __name__ == "__main__":
    entry.run(main)
