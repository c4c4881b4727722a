"""SIGTERM and Ctrl-C during training, handled between two micro-batches so that the state can be saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from picollm.core.errors import Interrupted
from picollm.training import distributed

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received = 0


@contextmanager
def deferred() -> Iterator[None]:
    """Inside the block the first of SIGNALS is recorded for `check`; a Ctrl-C after it ends the process at once.

    A later SIGTERM is ignored: torchrun sends one to every process as soon as the first of them has ended.
    """
    global _received
    _received = 0
    previous = {number: signal.signal(number, _record) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def check() -> None:
    """Raise Interrupted if any of the run's processes has received a signal; all of them call this together."""
    number = distributed.all_reduce_max(_received)
    if number:
        raise Interrupted(signal.Signals(number))


def _record(number: int, frame: object) -> None:
    global _received
    _received = number
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
