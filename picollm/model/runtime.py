"""Process setup: device, precision, compilation, and the C library's allocator."""

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

# mallopt(3): by default glibc returns a large block to the kernel on every free, and the next allocation page-faults, which takes
# about a quarter of a training step's time on a CPU. With these thresholds each step reuses the memory of the one before.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEEP_BYTES = 2**31 - 1

# Compilation takes 15 to 60 seconds. It pays off from this many floating-point operations (on a CPU: per thread), about ten minutes
# on a CPU and one minute on a large GPU. A count, unlike a time, gives the same decision in every run.
COMPILE_FLOPS = {"cpu": 5e13, "cuda": 1e16}


def set_up(deterministic: bool = False, precision: str = "float32") -> torch.device:
    """Configure the process and return the device that the environment variable DEVICE names (default auto).

    `deterministic` uses only bitwise reproducible CUDA kernels (the CPU's always are); an operation without one raises.
    `precision` tf32 makes CUDA round the inputs of float32 matrix products to 10 bits of mantissa; it does nothing on a CPU.
    Raises ParamsError for a device that is unknown or not available.
    """
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when CUDA starts; cuBLAS needs it to be deterministic
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
        raise ParamsError(f"DEVICE={name}: not available; PyTorch finds {torch.cuda.device_count()} CUDA devices")
    return device


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Context that computes matrix products in bfloat16 if `precision` says so; weights, norms and losses stay float32."""
    if precision != "bfloat16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def should_compile(setting: str, device: torch.device, flops: float) -> bool:
    """Whether to compile the model in a process that executes `flops` operations: `setting` is on, off, or auto.

    auto compiles long runs (COMPILE_FLOPS) unless they are deterministic or a tool is missing: Python's headers and a C++
    compiler, or on CUDA a C compiler and Triton. Raises ParamsError if a tool is missing and `setting` is on.
    """
    missing = _missing_tool(device)
    if setting == "on" and missing:
        raise ParamsError(f"compile: on: {missing}; install it, or set compile: off")
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    long = flops >= COMPILE_FLOPS[device.type] * threads and not torch.are_deterministic_algorithms_enabled()
    return setting == "on" or (setting == "auto" and long and not missing)


def _missing_tool(device: torch.device) -> str | None:
    variable, default = ("CXX", "g++") if device.type == "cpu" else ("CC", "gcc")
    compiler, header = os.environ.get(variable, default), Path(sysconfig.get_path("include"), "Python.h")
    if shutil.which(compiler) is None:
        return f"the compiler {compiler} was not found ({variable} may name another)"
    if not header.exists():
        return f"{header} was not found (often in a package python3-dev)"
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        return "Triton was not found"
    return None
