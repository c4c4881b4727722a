"""SIGTERM and Ctrl-C while training: noticed between two micro-batches, so that state can be saved first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from picollm.core.errors import Interrupted
from picollm.training import distributed

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received = 0


@contextmanager
def postponed() -> Iterator[None]:
    """Inside the block the first of SIGNALS is only remembered, for `check`; a Ctrl-C after it ends the process at once.

    A later SIGTERM changes nothing: torchrun sends one to every process once the first of them has ended.
    """
    global _received
    _received = 0
    previous = {number: signal.signal(number, _remember) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def check() -> None:
    """Raise Interrupted where a signal has come, to any of the run's processes: all of them call this together."""
    number = distributed.largest(_received)
    if number:
        raise Interrupted(signal.Signals(number))


def _remember(number: int, frame: object) -> None:
    global _received
    _received = number
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
