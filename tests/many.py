"""A tiny training run for tests of several processes: python -m tests.many STATE OUT OBJECTIVE STRATEGY CHECKPOINT_EVERY STOP.

OBJECTIVE is `language_modelling`, `preference`, `lora`: preference with adapters, or `muon`: language modelling with
Muon. Writes OUT (JSON): the history and the final weights. STOP is `RANK:SIGNAL:CALL`, the signal that the process of
that rank sends itself in its CALL-th micro-batch, or `none`.
"""

import dataclasses
import os
import signal
import sys
from pathlib import Path

from picollm.core import entry, files
from picollm.model.lora import with_adapters
from picollm.model.settings import Lora
from picollm.preference.objective import preference
from picollm.training import distributed
from picollm.training.language_model import language_modelling
from picollm.training.loop import fit
from picollm.training.resume import State
from picollm.training.run import History, Run, full_model
from tests.tiny import dpo, pair_rows, response_rows, tiny_model, training


def main():
    state, out, objective, strategy, every, stop, compile = sys.argv[1:]
    device = distributed.set_up(False, "float32")
    model, reference = tiny_model(), tiny_model(seed=1).requires_grad_(False)
    if objective == "lora":
        reference = tiny_model(model_type="qwen3", attention_bias=True)
        model = with_adapters(reference, Lora(rank=2, alpha=4.0, targets=["q_proj", "down_proj"]), seed=1)
    distributed.place(model, device, strategy)
    if objective in ("preference", "lora"):
        distributed.place(reference, device, strategy)
        kl_regularized = preference(dpo(temporal_decay=0.9, kl_weight=0.5), reference)
        loss, train, validation = kl_regularized, pair_rows(20), pair_rows(5)
    else:
        loss, train, validation = language_modelling, response_rows(20), response_rows(5, seed=9)
    optimizer = "muon" if objective == "muon" else "adamw"
    run = Run(
        name="sft",
        model=model,
        objective=stopping(loss, stop),
        train=train,
        validation=validation,
        settings=training(
            optimizer=optimizer, micro_batch_size=3, batch_size=7, checkpoint_every=int(every), weight_decay=0.0
        ),
        steps=6,
        seed=(4,),
        precision="float32",
        strategy=strategy,
        compile=compile,
    )
    history = History()
    for _ in fit(run, history, State(Path(state))):
        pass
    full = full_model(run.model)
    if distributed.is_main():
        weights = {name: weight.tolist() for name, weight in full.named_parameters()}
        files.write_json(out, {"history": dataclasses.asdict(history), "weights": weights})
    distributed.shutdown()


def stopping(loss, stop: str):
    if stop == "none":
        return loss
    rank, name, call = stop.split(":")
    calls = 0

    def stops(model, batch):
        nonlocal calls
        calls += 1
        if calls == int(call) and distributed.rank() == int(rank):
            os.kill(os.getpid(), signal.Signals[name])
        return loss(model, batch)

    return stops


if __name__ == "__main__":
    entry.run(main)
