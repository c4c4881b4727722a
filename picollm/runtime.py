"""The machine a process runs on: device, precision, and settings of the C library that cost nothing and help on CPU."""

import contextlib
import ctypes
import os
import sys

import torch

from picollm.errors import ParamsError

# mallopt(3): glibc returns a large block to the kernel on every free and faults it in anew on every allocation, which costs
# a training step on CPU about a quarter of its time; raised thresholds keep the memory of one step for the next.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEEP_BYTES = 2**31 - 1


def set_up(deterministic: bool = False) -> torch.device:
    """Prepare the process and return the device that the environment variable DEVICE names (default auto).

    `deterministic` makes CUDA's kernels repeatable to the bit (the CPU's are); an operation that cannot be is an error.
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
    return _device(os.environ.get("DEVICE") or "auto")


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
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
