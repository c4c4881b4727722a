"""How OpenMP's threads should wait, on an idle machine and beside a busy process: python -m benchmarks.threads

Each cell is the median of interleaved runs in new processes, in seconds, with the shapes of preset cpu.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.jobs import Job, make_shape, picollm_sample, picollm_score, picollm_training, prepare

SHAPE = make_shape(2048, 128, 352, 3, 2, 512)
JOBS = {
    "SFT, 10 steps": (Job("sft", "sft", SHAPE, 8, 110, 160, 0.4), picollm_training, 10),
    "100 stories": (Job("stories", "sample", SHAPE, 100, 110, 160, 0.4, ending=1 / 160), picollm_sample, 1),
    "200 pairs scored": (Job("score", "score", SHAPE, 200, 110, 160, 0.4, micro_batch=8), picollm_score, 1),
}
SETTINGS = {
    "OpenMP's default": {"GOMP_SPINCOUNT": "300000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=2000": {"GOMP_SPINCOUNT": "2000"},
}
ROUNDS = 3


MACHINES = ("idle", "one busy thread", "a second run")


def measure(name: str) -> float:
    """Seconds of a job in this process, after an untimed run."""
    job, build, times = JOBS[name]
    with tempfile.TemporaryDirectory() as folder:
        device = torch.device("cpu")
        prepare(job, Path(folder), device)
        work = build(job, Path(folder), "float32", device)
        work.run()
        start = time.perf_counter()
        for _ in range(times):
            work.run()
        return time.perf_counter() - start


def main():
    print("| job | machine | " + " | ".join(SETTINGS) + " |\n|" + "---|" * (2 + len(SETTINGS)))
    for name in JOBS:
        for machine in MACHINES:
            seconds = {setting: [] for setting in SETTINGS}
            for _ in range(ROUNDS):
                for setting, variables in SETTINGS.items():
                    seconds[setting].append(in_process(name, variables, machine))
            cells = " | ".join(f"{statistics.median(times):.2f}" for times in seconds.values())
            print(f"| {name} | {machine} | {cells} |", flush=True)


def in_process(name: str, variables: dict[str, str], machine: str) -> float:
    """`measure` in a process of its own: on an idle machine, beside a process that computes on one thread, or beside an endless
    SFT run with the same variables and as many threads, as `dvc queue start -j 2` starts."""
    inherited = {key: text for key, text in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    environment = {**inherited, **variables}
    endless = "from benchmarks.threads import measure\nwhile True: measure('SFT, 10 steps')"
    code = {"idle": "", "one busy thread": "while True: pass", "a second run": endless}[machine]
    other = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        command = [sys.executable, "-m", "benchmarks.threads", name]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return float(done.stdout)
    finally:
        other.kill()
        other.wait()


if __name__ == "__main__":
    print(measure(sys.argv[1])) if len(sys.argv) > 1 else main()
