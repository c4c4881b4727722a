import signal
import subprocess
import sys
from pathlib import Path

import pytest

from picollm.core.errors import Interrupted
from picollm.training import distributed, interrupt

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_inside_the_block_is_raised_by_the_next_check_and_not_before(number):
    with interrupt.deferred():
        interrupt.check()
        signal.raise_signal(number)
        with pytest.raises(Interrupted) as raised:
            interrupt.check()
    assert raised.value.number == number
    assert number.name in str(raised.value)


def test_handlers_are_as_before_after_the_block():
    before = [signal.getsignal(number) for number in distributed.INTERRUPTS]
    with interrupt.deferred():
        assert [signal.getsignal(number) for number in distributed.INTERRUPTS] != before
    assert [signal.getsignal(number) for number in distributed.INTERRUPTS] == before


def test_after_the_first_signal_sigterm_changes_nothing_and_ctrl_c_ends_the_process_at_once():
    code = """
import signal
from picollm.training import distributed, interrupt
with interrupt.deferred():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        signal.raise_signal(number)
        print(number.name, flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (-signal.SIGINT, "SIGINT\nSIGTERM\n")
