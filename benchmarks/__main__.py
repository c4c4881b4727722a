"""picollm beside its peers: python -m benchmarks [--jobs pretrain,sft] [--repeats 7] [--device cuda] [--out results.json]

Peers run in picollm's precision, without gradient checkpointing, with the default memory allocator and, on separate lines ("memory
kept"), with picollm's allocator settings (picollm/model/runtime.py). --defaults adds TRL with its documented defaults.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks import jobs, peers
from benchmarks.jobs import OWN, Job
from benchmarks.timing import BenchmarkError, Side, Worker, interleave, matrix_product, ratios
from picollm.core import entry, files

MATRIX = "matrix product"
MATRIX_SIZE = {"cpu": 2048, "cuda": 8192}
MATRIX_RUNS = 3  # a turn; the fastest of a whole run counts
# Largest relative difference between a side's numbers and picollm's. In bfloat16 they differ by the order of rounding; that the work is
# the same has been checked in float32 before.
TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}


def main():
    options = _options()
    device = options.device
    precision = options.precision or ("bfloat16" if device == "cuda" else "float32")
    available = jobs.all_jobs(device)
    names = options.jobs.split(",") if options.jobs else list(available)
    if unknown := [name for name in names if name not in available]:
        raise BenchmarkError(f"--jobs {unknown[0]}: expected some of {','.join(available)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise BenchmarkError("--device cuda: this machine shows no CUDA device to PyTorch")
    machine = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "versions": peers.versions(),
        "load_before": os.getloadavg(),
    }
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            job = jobs.tiny(available[name]) if options.tiny else available[name]
            results[name] = measure(job, Path(folder) / name, device, precision, options.repeats, options.defaults)
    machine |= {
        "load_after": os.getloadavg(),
        "matrix_peak": max(result.pop("matrix_peak") for result in results.values()),
    }
    for result in results.values():
        for side in result["sides"].values():
            side["mfu"] = result["flops"] / (side["median"] * machine["matrix_peak"])
    print(table(machine, results))
    files.write_json(options.out, {"machine": machine, "jobs": results})


def measure(job: Job, folder: Path, device: str, precision: str, repeats: int, defaults: bool) -> dict:
    """One job's work, and for each side seconds, rate, memory and the ratio to picollm."""
    print(f"{job.name}: preparing", file=sys.stderr, flush=True)
    jobs.prepare(job, folder, torch.device(device))
    sides = jobs.sides(job) | peers.sides(job, defaults)
    if precision != "float32":
        _close(_agreeing(sides, job, folder, device, "float32"))  # the stricter check
    workers = _agreeing(sides, job, folder, device, precision)
    matrix = Worker(MATRIX, device, Side(matrix_product), MATRIX_SIZE[device], precision)
    matrix.ask("check")  # the first product is slower
    print(f"{job.name}: timing {', '.join(sides)}", file=sys.stderr, flush=True)
    seconds = interleave([*workers, *[matrix] * MATRIX_RUNS], repeats)
    count = jobs.units(job, folder)
    numbers = {worker.label: _numbers(worker, seconds, count) for worker in workers}
    _close([*workers, matrix])
    return {
        "rows": job.rows,
        "unit": job.unit,
        "count": count,
        "flops": jobs.flops(job, folder),
        "matrix_peak": 2 * MATRIX_SIZE[device] ** 3 / min(seconds[MATRIX]),
        "sides": numbers,
    }


def _agreeing(sides: dict[str, Side], job: Job, folder: Path, device: str, precision: str) -> list[Worker]:
    """A worker for each side, once they have been checked to compute the same."""
    workers = [Worker(label, device, side, job, folder, precision) for label, side in sides.items()]
    check_agreement(job, workers, precision)
    return workers


def _numbers(worker: Worker, seconds: dict[str, list[float]], count: int) -> dict:
    times = seconds[worker.label]
    before, at_peak = worker.ask("memory")
    ratio, lowest, highest = ratios(times, seconds[OWN])
    return {
        "seconds": times,
        "median": statistics.median(times),
        "rate": count / statistics.median(times),
        "memory_before": before,
        "memory_peak": at_peak,
        "ratio": ratio,
        "ratio_lowest": lowest,
        "ratio_highest": highest,
    }


def check_agreement(job: Job, workers: list[Worker], precision: str) -> None:
    """Raise BenchmarkError unless all sides compute what picollm computes, from the same weights and data."""
    own, *others = ((worker, worker.ask("check")) for worker in workers)
    for worker, numbers in others:
        tolerance = TOLERANCE["bfloat16" if worker.as_documented else precision]
        pairs = list(zip(own[1], numbers, strict=False))
        far = [pair for pair in pairs if not abs(pair[0] - pair[1]) <= tolerance * abs(pair[0])]
        if far or len(own[1]) != len(numbers):
            shown = f"{far[0][0]:.7g} and {far[0][1]:.7g}" if far else f"{len(own[1])} and {len(numbers)} numbers"
            raise BenchmarkError(
                f"{job.name}: {OWN} and {worker.label} do not do the same work in {precision}: they compute {shown}, expected to "
                f"differ by at most {tolerance:g} of the first; their times are not compared"
            )


def table(machine: dict, results: dict) -> str:
    lines = [
        f"{machine['device']}, {machine['threads']} threads, {machine['precision']}; matrix peak "
        f"{machine['matrix_peak'] / 1e9:,.0f} GFLOP/s; load average {machine['load_before'][0]:.2f} before, "
        f"{machine['load_after'][0]:.2f} after; " + ", ".join(f"{n} {v}" for n, v in machine["versions"].items()),
        "ratio: time of the side / time of picollm, with the lowest and highest of one turn; memory: peak, and what the job added",
        "",
        f"{'job':14}{'side':36}{'median':>10}{'rate':>18}{'MFU':>7}{'memory, MiB':>16}{'ratio':>7}",
    ]
    for name, result in results.items():
        for label, side in result["sides"].items():
            rate = f"{side['rate']:,.1f} {result['unit']}/s"
            added = (side["memory_peak"] - side["memory_before"]) / 2**20
            memory = f"{side['memory_peak'] / 2**20:,.0f} (+{added:,.0f})"
            spread = "" if label == OWN else f"  ({side['ratio_lowest']:.2f}-{side['ratio_highest']:.2f})"
            lines.append(
                f"{name:14}{label:36}{side['median'] * 1000:7,.0f} ms{rate:>18}{side['mfu']:7.1%}{memory:>16}"
                f"{side['ratio']:7.2f}{spread}"
            )
    return "\n".join(lines)


def _close(workers: list[Worker]) -> None:
    for worker in workers:
        worker.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", help="names with commas between (default: all)")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each side")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: larger sizes")
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help="of all sides, but for sampling, which is in float32 (default: bfloat16 on cuda, float32 on a CPU)",
    )
    parser.add_argument(
        "--defaults",
        action="store_true",
        help="also one step of each of TRL's trainers as documented (bfloat16, slow on CPU)",
    )
    parser.add_argument("--tiny", action="store_true", help="sizes that say nothing of speed: does everything run?")
    parser.add_argument("--out", default="benchmarks/results.json", help="where the numbers go, as JSON")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats {options.repeats}: expected at least 1")
    return options


if __name__ == "__main__":
    entry.run(main)
