"""What a process runs on: device, precision, compilation, and settings of the C library's allocator."""

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

# mallopt(3): by default glibc returns a large block to the kernel on every free and page-faults on every allocation, about a
# quarter of a training step's time on a CPU. With these thresholds the memory of one step is reused by the next.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEEP_BYTES = 2**31 - 1

# Compilation takes 15 to 60 seconds. It pays off for runs of this many floating-point operations (on a CPU: per thread), which take
# about ten minutes on a CPU and one minute on a large GPU. A count, unlike a time, gives the same decision every time.
COMPILE_FLOPS = {"cpu": 5e13, "cuda": 1e16}


def set_up(deterministic: bool = False, precision: str = "float32") -> torch.device:
    """Prepare the process and return the device named by the environment variable DEVICE (default auto).

    `deterministic` makes CUDA's kernels bitwise repeatable, as the CPU's are; an operation without such a kernel raises.
    With `precision` tf32 CUDA rounds the inputs of float32 matrix products to 10 bits of mantissa; on a CPU it changes nothing.
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
        raise ParamsError(f"DEVICE={name}: PyTorch finds {torch.cuda.device_count()} CUDA devices on this machine")
    return device


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Matrix products in bfloat16 if `precision` is bfloat16; weights, norms and losses stay float32."""
    if precision != "bfloat16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def compiles(setting: str, device: torch.device, flops: float) -> bool:
    """Whether a process that executes `flops` operations compiles its model: `setting` is on, off, or auto.

    auto compiles long runs (COMPILE_FLOPS), unless they are to be deterministic or the tools are missing. Raises ParamsError
    if it is on and they are missing: a C++ compiler, or on CUDA a C compiler and Triton, and Python's headers.
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
