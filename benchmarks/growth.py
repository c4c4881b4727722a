"""How time and memory grow: python -m benchmarks.growth [--documents 1000,10000,100000] [--figure docs/growth.png]

The stages make_datasets and tokenize run in a temporary folder with a growing number of documents; a training step with growing context,
vocabulary and hidden size, one varied at a time. An exponent is the slope of the least-squares line through the logarithms of the last
three points.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib
import numpy as np
import torch
import yaml

from benchmarks import jobs
from benchmarks.timing import BenchmarkError, Side, Worker
from picollm.core import entry

ROOT = Path(__file__).parents[1]
REPEATS = 5
# A batch has the same number of tokens at every context; heads have 32 dimensions.
TOKENS, CONTEXT, VOCABULARY, HIDDEN = 4096, 256, 4096, 256
STEPS = {
    "context": [128, 256, 512, 1024, 2048],
    "vocabulary": [1024, 4096, 16384, 65536],
    "hidden size": [128, 256, 384, 512],
}

Points = dict[int, tuple[float, float]]  # size -> seconds, bytes


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__.split(":")[0])
    parser.add_argument("--documents", default="1000,10000,100000")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    curves = data_curves([int(count) for count in options.documents.split(",")])
    for name, sizes in STEPS.items():
        curves[f"training step, {name}"] = {size: step_cost(name, size) for size in sizes}
    for name, points in curves.items():
        time_exponent, memory_exponent = (exponent(points, column) for column in (0, 1))
        print(f"{name}: time ~ n^{time_exponent:.2f}, memory ~ n^{memory_exponent:.2f}")
        for size, (seconds, held) in points.items():
            print(f"    {size:>8,}  {seconds:8.2f} s  {held / 2**20:8.0f} MiB")
    if options.figure:
        draw(curves, options.figure)


def data_curves(counts: list[int]) -> dict[str, Points]:
    curves: dict[str, Points] = {"make_datasets, documents": {}, "tokenize, documents": {}}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder), count)
            for name, points in curves.items():
                points[count] = stage_cost(name.split(",")[0], Path(folder))
    return curves


def prepare(folder: Path, documents: int) -> None:
    """Write the parameters of preset smoke, except for the number of documents and a vocabulary of 2048."""
    method = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    method["preset"] = "smoke"
    sizes = yaml.safe_load((ROOT / "presets/smoke.yaml").read_text(encoding="utf-8"))
    sizes["corpus"]["documents"], sizes["vocabulary"] = documents, 2048
    (folder / "presets").mkdir()
    (folder / "data/raw").mkdir(parents=True)
    for path, content in (("params.yaml", method), ("presets/smoke.yaml", sizes)):
        with open(folder / path, "w", encoding="utf-8") as file:
            yaml.safe_dump(content, file)


def stage_cost(stage: str, folder: Path) -> tuple[float, float]:
    """Seconds of one run of a stage, including start-up, and its peak resident set in bytes."""
    code = f"import runpy; runpy.run_module('stages.{stage}', run_name='__main__'); print(open('/proc/self/status').read())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    ended = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if ended.returncode:
        raise BenchmarkError(f"{stage}: ended with status {ended.returncode}")
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", ended.stdout)
    return seconds, int(peak) * 1024


def step_cost(name: str, size: int) -> tuple[float, float]:
    """Median seconds of a training step, and the peak memory of its process in bytes."""
    context = size if name == "context" else CONTEXT
    hidden = size if name == "hidden size" else HIDDEN
    vocabulary = size if name == "vocabulary" else VOCABULARY
    shape = jobs.make_shape(vocabulary, hidden, hidden * 11 // 4, 6, hidden // 32, context)
    job = jobs.Job("growth", "pretrain", shape, TOKENS // context, 1, context - 1)
    with tempfile.TemporaryDirectory() as folder:
        jobs.prepare(job, Path(folder), torch.device("cpu"))
        side = Side(jobs.picollm_training, keep_memory=True)
        worker = Worker(f"{name} {size}", "cpu", side, job, Path(folder), "float32")
        worker.ask("run")
        seconds = float(np.median([worker.ask("run") for _ in range(REPEATS)]))
        _, peak = worker.ask("memory")
        worker.close()
    return seconds, peak


def exponent(points: Points, column: int) -> float:
    last = list(points.items())[-3:]
    sizes, values = np.log([size for size, _ in last]), np.log([value[column] for _, value in last])
    return float(np.polyfit(sizes, values, 1)[0]) if len(last) > 1 else float("nan")


def draw(curves: dict[str, Points], path: Path) -> None:
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(curves), figsize=(3 * len(curves), 5.5), sharex="col", layout="constrained")
    for (name, points), column in zip(curves.items(), axes.T, strict=True):
        for row, (axis, scale, label) in enumerate(zip(column, (1, 2**20), ("seconds", "MiB"), strict=True)):
            values = [value[row] / scale for value in points.values()]
            axis.loglog(list(points), values, "o-", color="#0072b2")
            axis.set_ylim(min(values) / 2, max(values) * 2)  # so that what hardly grows looks flat
            axis.set_xticks(list(points), labels=[f"{size:,}" for size in points], rotation=60)
            axis.set_xticks([], minor=True)
            axis.set_title(f"n^{exponent(points, row):.2f}", fontsize=9)
            axis.set_ylabel(label)
        column[1].set_xlabel(name)
    figure.savefig(path, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    entry.run(main)
