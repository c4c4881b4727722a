"""Each side of a job in its own process, timed in turn (A B A B ...); memory, medians, and the peak of matrix products.

Separate processes keep peak memory, allocator and library settings apart; taking turns spreads slow phases of the machine over all sides.
"""

import multiprocessing
import os
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil
import torch

from picollm.core.errors import PicollmError
from picollm.model import runtime


class BenchmarkError(PicollmError):
    """A side cannot run, or the sides of a job do not compute the same numbers."""


@dataclass(frozen=True)
class Work:
    """One side of a job, loaded and ready. `check` does it, untimed, and returns the numbers in which all sides must agree; `run`
    does it once."""

    check: Callable[[], Sequence[float]]
    run: Callable[[], object]


@dataclass(frozen=True)
class Side:
    """An implementation of a job: `build(*arguments, device)` makes its Work. `keep_memory`: with picollm's allocator settings."""

    build: Callable[..., Work]
    keep_memory: bool = False
    as_documented: bool = False  # in bfloat16, which can be so slow on a CPU that it runs only in the first turn


class Worker:
    """A process that builds and holds the Work of one side."""

    def __init__(self, label: str, device: str, side: Side, *arguments):
        self.label, self.as_documented = label, side.as_documented
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, device, side, arguments), daemon=True)
        self.process.start()
        theirs.close()
        self._answer()

    def ask(self, what: str):
        """`check`: numbers; `run`: seconds; `memory`: bytes before and at the peak. Raises BenchmarkError if it fails."""
        self.connection.send(what)
        return self._answer()

    def _answer(self):
        try:
            done, value = self.connection.recv()
        except EOFError:
            self.process.join()
            raise BenchmarkError(
                f"{self.label}: its process ended with status {self.process.exitcode} (-9: out of memory?)"
            ) from None
        if not done:
            raise BenchmarkError(f"{self.label}: {value}")
        return value

    def close(self) -> None:
        self.connection.close()
        self.process.join()


def interleave(workers: Sequence[Worker], repeats: int) -> dict[str, list[float]]:
    """Seconds of `repeats` runs of each worker, in turn; a side `as_documented` runs once."""
    seconds = {worker.label: [] for worker in workers}
    for turn in range(repeats):
        for worker in workers:
            if turn == 0 or not worker.as_documented:
                seconds[worker.label].append(worker.ask("run"))
    return seconds


def ratios(peer: Sequence[float], own: Sequence[float]) -> tuple[float, float, float]:
    """The ratio of the medians, and the lowest and highest ratio of one turn; over the turns in which the peer ran."""
    own = own[: len(peer)]
    turns = [theirs / ours for theirs, ours in zip(peer, own, strict=True)]
    return statistics.median(peer) / statistics.median(own), min(turns), max(turns)


def matrix_product(size: int, precision: str, device: torch.device) -> Work:
    """The product of two square matrices, 2 size^3 operations; its best time gives the peak that MFU refers to."""
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(size, size, generator=generator).to(device, dtype) for _ in range(2))
    out = torch.empty_like(a)

    def run() -> list[float]:
        torch.mm(a, b, out=out)
        return []

    return Work(run, run)


def _serve(connection, device_name: str, side: Side, arguments: tuple) -> None:
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # output of libraries must not mix with the table
    try:
        os.environ["DEVICE"] = device_name
        device = runtime.set_up() if side.keep_memory else torch.device(device_name)
        work = side.build(*arguments, device)
        before = _held_bytes(device)
        connection.send((True, None))
        while True:
            connection.send((True, _answer(work, connection.recv(), before, device)))
    except EOFError:  # the other end was closed
        return
    except PicollmError as error:
        connection.send((False, str(error)))
    except BaseException:  # whatever a library raises is shown to the user
        connection.send((False, traceback.format_exc()))
        raise


def _answer(work: Work, question: str, before: int, device: torch.device):
    if question == "check":
        return list(work.check())
    if question == "memory":
        return before, _peak_bytes(device)
    _finish(device)
    start = time.perf_counter()
    work.run()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _held_bytes(device: torch.device) -> int:
    """Current memory of this process, of the kind that `_peak_bytes` measures."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else psutil.Process().memory_info().rss


def _peak_bytes(device: torch.device) -> int:
    """Peak memory of this process: allocated on the GPU, or resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "linux":  # ru_maxrss would include the parent's memory at the fork
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
