"""The machine a process runs on: device, precision, and settings of the C library that cost nothing and help on CPU."""

import contextlib
import ctypes
import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path

import torch

from picollm.core.errors import ParamsError

# mallopt(3): glibc returns a large block to the kernel on every free and faults it in anew on every allocation, which costs
# a training step on CPU about a quarter of its time; raised thresholds keep the memory of one step for the next.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEEP_BYTES = 2**31 - 1

# Compiling takes from a quarter of a minute to a minute. So many floating-point operations (of a CPU, on each of its threads) take
# about ten minutes on a CPU, one minute on a large GPU, and earn it back. They are counted and not timed, so that a machine does the
# same every time.
COMPILE_FLOPS = {"cpu": 5e13, "cuda": 1e16}


def set_up(deterministic: bool = False, precision: str = "float32") -> torch.device:
    """Prepare the process and return the device that the environment variable DEVICE names (default auto).

    `deterministic` makes CUDA's kernels repeatable to the bit (the CPU's are); an operation that cannot be is an error.
    `precision` tf32 lets CUDA round the inputs of float32 matrix products to 10 bits of mantissa; a CPU computes as ever.
    Raises ParamsError for a device that is unknown or not there.
    """
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when CUDA starts; cuBLAS is not repeatable without it
        torch.use_deterministic_algorithms(True)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_THRESHOLD, KEEP_BYTES)
            libc.mallopt(M_TRIM_THRESHOLD, KEEP_BYTES)
    device = _device(os.environ.get("DEVICE") or "auto")
    if device.type == "cuda" and precision == "tf32":
        torch.set_float32_matmul_precision("high")
    return device


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ParamsError(f"DEVICE={name}: expected auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise ParamsError(f"DEVICE={name}: expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ParamsError(f"DEVICE={name}: this machine shows {torch.cuda.device_count()} CUDA devices to PyTorch")
    return device


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Matrix products in bfloat16 where `precision` says so; weights, norms and losses stay float32."""
    if precision != "bfloat16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def compiles(wanted: str, device: torch.device, flops: float) -> bool:
    """Whether a process that does so many operations compiles its model: `wanted` is on, off, or auto.

    auto is on where that is earned back, unless the process is to be repeatable to the bit or the tools are not there. Raises
    ParamsError for on without the tools: a C++ compiler, or on CUDA a C compiler and Triton, and Python's headers.
    """
    lacking = _lacking(device)
    if wanted == "on" and lacking:
        raise ParamsError(f"compile: on: {lacking}; install it, or say off")
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    earned = flops >= COMPILE_FLOPS[device.type] * threads and not torch.are_deterministic_algorithms_enabled()
    return wanted == "on" or (wanted == "auto" and earned and not lacking)


def _lacking(device: torch.device) -> str | None:
    variable, usual = ("CXX", "g++") if device.type == "cpu" else ("CC", "gcc")
    compiler, header = os.environ.get(variable, usual), Path(sysconfig.get_path("include"), "Python.h")
    if shutil.which(compiler) is None:
        return f"the compiler {compiler} is not there ({variable} may name another)"
    if not header.exists():
        return f"{header} is not there (often a package python3-dev)"
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "Triton is not there"
    return None
