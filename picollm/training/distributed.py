"""Data-parallel training: every process computes part of each batch, and the sums over all processes equal those of one.

NPROC=8 starts a training stage in 8 processes through torchrun; a stage that already runs under torchrun (on several
machines, for example) joins its process group. A single process has no process group and no overhead.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from picollm.core.errors import Interrupted, ParamsError, TrainingError
from picollm.model import runtime

SHUTDOWN_SECONDS = 120  # time to save the state before torchrun kills a process
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def set_up(deterministic: bool, precision: str) -> torch.device:
    """runtime.set_up() for a training stage. With NPROC above 1 it starts the processes, waits for them and exits.

    Raises ParamsError if NPROC or DEVICE is out of range, TrainingError if a process fails.
    """
    processes = _processes()
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return _join(deterministic, precision)
    if processes > 1:
        _launch(processes)
    return runtime.set_up(deterministic, precision)


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this is rank 0, the only one that writes files and prints."""
    return rank() == 0


def all_reduce_sum(values: Tensor) -> Tensor:
    """Sum `values` over all processes, in place. A CPU tensor goes through gloo, without waiting for CUDA kernels."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def all_reduce_max(number: int) -> int:
    """The maximum of `number` over all processes."""
    if not dist.is_initialized():
        return number
    value = torch.tensor(number)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)


def broadcast(number: int) -> int:
    """The `number` of rank 0."""
    if not dist.is_initialized():
        return number
    value = torch.tensor(number)
    dist.broadcast(value, 0)
    return int(value)


def barrier() -> None:
    """Wait until every process has called this."""
    all_reduce_max(0)  # uses gloo: dist.barrier would use NCCL and wait for CUDA kernels


def shutdown() -> None:
    """Destroy the process group after success. A failing process must not call this: it would wait for the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_sharded(tensor: Tensor) -> bool:
    """Whether this is a DTensor, sharded by FSDP."""
    return hasattr(tensor, "full_tensor")


def full_tensor(tensor: Tensor) -> Tensor:
    """The unsharded tensor; a collective call."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def gather_to_main(tensor: Tensor) -> Tensor:
    """The unsharded tensor on the CPU of rank 0, `tensor` itself on the other ranks; a collective call."""
    full = full_tensor(tensor)
    return full.cpu() if is_main() else tensor


def to_local(tensor: Tensor) -> Tensor:
    """This process's shard, as a view; an unsharded tensor is returned as it is."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def shard_like(tensor: Tensor, other: Tensor) -> Tensor:
    """The full `tensor` on the device of `other` and sharded like it; a scalar is never sharded."""
    if not (is_sharded(other) and tensor.ndim):
        return tensor.to(other.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(other.device), other.device_mesh, other.placements)


def place(model: nn.Module, device: torch.device, strategy: str) -> None:
    """Move `model` to `device`, in place; with several processes and strategy fsdp shard its parameters (fully_shard)."""
    if world_size() == 1 or strategy != "fsdp":
        model.to(device)
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device.type, (world_size(),))
    for block in model.model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)  # moves one block's shards at a time, so no GPU has to hold the full model
    for method in ("hidden", "next_hidden"):
        register_fsdp_forward_method(model, method)


def named_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name -> parameter, tied ones once; with FSDP its shard, even if the last forward left it unsharded."""
    if hasattr(model, "reshard"):
        model.reshard()
    return dict(model.named_parameters())


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """`named_parameters` without the frozen ones."""
    return {name: parameter for name, parameter in named_parameters(model).items() if parameter.requires_grad}


class _Module(nn.Module):
    """Model and objective as one module, because DistributedDataParallel wraps a module's forward."""

    def __init__(self, model: nn.Module, objective: Callable):
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch):
        return self.objective(self.model, batch)


def data_parallel(model: nn.Module, objective: Callable, strategy: str) -> Callable:
    """batch -> objective(model, batch), whose backward averages gradients over the processes (see `gradient_sync`)."""
    module = _Module(model, objective)
    if world_size() == 1 or strategy != "ddp":
        return module
    device = next(model.parameters()).device
    return DistributedDataParallel(module, device_ids=None if device.type == "cpu" else [device])


def gradient_sync(module: Callable, enabled: bool) -> contextlib.AbstractContextManager:
    """Context for one micro-batch's forward and backward, in which DDP averages gradients only if `enabled`. FSDP averages them
    after every micro-batch, so that no process holds unsharded gradients."""
    if isinstance(module, DistributedDataParallel) and not enabled:
        return module.no_sync()
    return contextlib.nullcontext()


def _first_failure(codes: dict[int, int]) -> tuple[int, int]:
    """(rank, exit code) of the process that failed first: one that was killed, else one that failed, else one that was
    interrupted, because torchrun interrupts the remaining processes."""

    def order(item: tuple[int, int]) -> tuple[int, int]:
        rank, code = item
        interrupted = code in (*(-number for number in INTERRUPTS), *(128 + number for number in INTERRUPTS))
        return 2 if interrupted else int(code > 0), rank

    return min(codes.items(), key=order)


def _processes() -> int:
    text = os.environ.get("NPROC") or "1"
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        raise ParamsError(f"NPROC={text}: expected a whole number of processes from 1 to 1024")
    return int(text)


def _join(deterministic: bool, precision: str) -> torch.device:
    """Become one of the processes that torchrun started."""
    device = runtime.set_up(deterministic, precision)
    if device.type == "cuda":
        if ":" in os.environ.get("DEVICE", ""):
            raise ParamsError(
                f"DEVICE={os.environ['DEVICE']}: expected cuda or auto with several processes; select GPUs by CUDA_VISIBLE_DEVICES"
            )
        index = int(os.environ["LOCAL_RANK"])
        if index >= torch.cuda.device_count():
            raise ParamsError(
                f"NPROC: expected at most {torch.cuda.device_count()}, the CUDA devices of this machine; found at least {index + 1}"
            )
        device = torch.device("cuda", index)
        torch.cuda.set_device(device)
    # torchrun ends the job if a process dies, so no short timeout is needed; rank 0 may wait long for another run's lock.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(days=7))
    if not is_main():
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (only rank 0 prints)
    return device


def _launch(processes: int) -> None:
    """Run this stage in `processes` processes through torchrun and exit when they have ended."""
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
    stage = sys.modules["__main__"].__spec__.name
    options = [
        "--standalone",
        f"--nproc-per-node={processes}",
        f"--shutdown-timeout={SHUTDOWN_SECONDS}",
        "-m",
        stage,
        *sys.argv[1:],
    ]
    try:
        torchrun.run(torchrun.parse_args(options))
    except ChildFailedError as error:
        index, code = _first_failure({index: failure.exitcode for index, failure in error.failures.items()})
        number = -code if code < 0 else code - 128
        if number in INTERRUPTS:
            raise Interrupted(signal.Signals(number)) from None
        ending = f"was killed by {signal.Signals(number).name}" if code < 0 else f"failed with exit status {code}"
        raise TrainingError(
            f"{stage}: process {index} of {processes} {ending}; the others were stopped. Its own message, if any, is above"
        ) from None
    except SignalException as error:
        raise Interrupted(signal.Signals(error.sigval)) from None
    sys.exit(0)
