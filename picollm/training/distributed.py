"""One training run over several processes: each takes a share of every batch, sums over all of them give what one would.

NPROC=8 starts a training stage through torchrun on this machine; under a torchrun that someone else started (over several
machines, say) the stage joins what it finds. A single process needs no process group and pays nothing.
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

SHUTDOWN_SECONDS = 120  # that a process has to save its state before torchrun kills it


def set_up(deterministic: bool, precision: str) -> torch.device:
    """runtime.set_up() for a training stage: with NPROC above 1 the processes are started here, and this call does not return.

    Raises ParamsError for NPROC or DEVICE out of range, TrainingError where one of the processes fails.
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
    """Whether this process is the one that writes files and prints."""
    return rank() == 0


def add_up(values: Tensor) -> Tensor:
    """The sum of `values` over all processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(values)
    return values


def sum_of(number: int) -> int:
    """The sum of every process's `number`."""
    return int(add_up(torch.tensor(number)))  # on the CPU, whose backend waits for no kernel


def largest(number: int) -> int:
    """The largest of every process's `number`."""
    if not dist.is_initialized():
        return number
    value = torch.tensor(number)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)


def from_main(number: int) -> int:
    """The main process's `number`."""
    if not dist.is_initialized():
        return number
    value = torch.tensor(number)
    dist.broadcast(value, 0)
    return int(value)


def wait() -> None:
    """Go on when every process has come here."""
    largest(0)


def leave() -> None:
    """Part with the other processes after a good end. A process that fails does not call this: it would wait for the others."""
    if dist.is_initialized():
        dist.destroy_process_group()


def is_divided(tensor: Tensor) -> bool:
    """Whether FSDP divided the tensor over the processes."""
    return hasattr(tensor, "full_tensor")


def full(tensor: Tensor) -> Tensor:
    """The whole of a tensor that FSDP divided (all processes call this), or the tensor itself."""
    return tensor.full_tensor() if is_divided(tensor) else tensor


def full_on_main(tensor: Tensor) -> Tensor:
    """The same, in the main process's CPU memory; the other processes keep nothing of it."""
    whole = full(tensor)
    return whole.cpu() if is_main() else tensor


def local(tensor: Tensor) -> Tensor:
    """This process's part of a tensor that FSDP divided, or the tensor itself; it shares the memory."""
    return tensor.to_local() if is_divided(tensor) else tensor


def divided_like(tensor: Tensor, model: Tensor) -> Tensor:
    """A whole `tensor` put onto the device of `model` and divided over the processes as it is."""
    if not is_divided(model):
        return tensor.to(model.device)
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(model.device), model.device_mesh, model.placements)


def place(model: nn.Module, device: torch.device, strategy: str) -> None:
    """Put `model` on its device; for strategy fsdp divide its weights over the processes (fully_shard, in place)."""
    if world_size() == 1 or strategy != "fsdp":
        model.to(device)
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device.type, (world_size(),))
    for block in model.model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)  # moves what it divides, block by block: no card need hold the whole
    for method in ("hidden", "next_hidden"):
        register_fsdp_forward_method(model, method)


def weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name -> weight, each once; with FSDP this process's part of it, whatever was gathered for the last forward pass."""
    if hasattr(model, "reshard"):
        model.reshard()
    return dict(model.named_parameters())


class _Module(nn.Module):
    """(model, objective) as one module, whose forward DistributedDataParallel can wrap."""

    def __init__(self, model: nn.Module, objective: Callable):
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch):
        return self.objective(self.model, batch)


def replicated(model: nn.Module, objective: Callable, strategy: str) -> Callable:
    """batch -> objective(model, batch), after whose last backward pass every process holds the mean gradient over all."""
    module = _Module(model, objective)
    if world_size() == 1 or strategy != "ddp":
        return module
    device = next(model.parameters()).device
    return DistributedDataParallel(module, device_ids=None if device.type == "cpu" else [device])


def accumulating(module: Callable, last: bool) -> contextlib.AbstractContextManager:
    """Around the passes of one micro-batch: ddp sends gradients once a step, with its last micro-batch. (fsdp sends those of
    every micro-batch, and so needs no room for undivided ones.)"""
    if isinstance(module, DistributedDataParallel) and not last:
        return module.no_sync()
    return contextlib.nullcontext()


def _cause(codes: dict[int, int]) -> tuple[int, int]:
    """The process whose end ended the others, with its exit code: one that was killed goes before one that then failed."""
    killed = {index: code for index, code in codes.items() if code < 0 and code != -signal.SIGTERM}
    return min((killed or codes).items())


def _processes() -> int:
    text = os.environ.get("NPROC") or "1"
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        raise ParamsError(f"NPROC={text}: expected a whole number from 1 to 1024, the processes of a training stage")
    return int(text)


def _join(deterministic: bool, precision: str) -> torch.device:
    """Become one of the processes that torchrun started."""
    device = runtime.set_up(deterministic, precision)
    if device.type == "cuda":
        if ":" in os.environ.get("DEVICE", ""):
            raise ParamsError(
                f"DEVICE={os.environ['DEVICE']}: with several processes expected cuda or auto; CUDA_VISIBLE_DEVICES chooses the cards"
            )
        index = int(os.environ["LOCAL_RANK"])
        if index >= torch.cuda.device_count():
            raise ParamsError(f"NPROC={index + 1} or more: this machine has {torch.cuda.device_count()} CUDA devices")
        device = torch.device("cuda", index)
        torch.cuda.set_device(device)
    # torchrun ends the job when a process dies; the limit is for waiting, which may be for another run's lock.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(days=7))
    if not is_main():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (what every process would say, the main one says)
    return device


def _launch(processes: int) -> None:
    """Run this very stage in `processes` processes through torchrun, and end this process when they have ended."""
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
        index, code = _cause({index: failure.exitcode for index, failure in error.failures.items()})
        if -code in (signal.SIGINT, signal.SIGTERM) or code - 128 in (signal.SIGINT, signal.SIGTERM):
            raise Interrupted(signal.Signals(-code if code < 0 else code - 128)) from None
        ending = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit status {code}"
        raise TrainingError(
            f"{stage}: process {index} of {processes} {ending}; the others were stopped. Its own message, if it had one, is above"
        ) from None
    except SignalException as error:
        raise Interrupted(signal.Signals(error.sigval)) from None
    sys.exit(0)
