"""Deferred handling of SIGTERM and Ctrl-C: between two micro-batches, so that the state can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from picollm.core.errors import Interrupted
from picollm.training import distributed

_received = 0


@contextmanager
def deferred() -> Iterator[None]:
    """Record the first signal inside the block for `check`; a Ctrl-C after it ends the process at once.

    A later SIGTERM is ignored: torchrun sends one to every process as soon as one has ended.
    """
    global _received
    _received = 0
    previous = {number: signal.signal(number, _record) for number in distributed.INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def check() -> None:
    """Raise Interrupted if any process of the run has received a signal; a collective call."""
    number = distributed.all_reduce_max(_received)
    if number:
        raise Interrupted(signal.Signals(number))


def _record(number: int, frame: object) -> None:
    global _received
    _received = number
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
