import inspect
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from picollm.core import entry, errors

ROOT = Path(__file__).parents[2]
MISTAKES = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.PicollmError)]


def failing(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda cls: cls.__name__)
def test_an_error_of_the_projects_own_ends_the_process_with_its_message(mistake):
    with pytest.raises(SystemExit) as ended:
        entry.run(failing(mistake("rows.jsonl:3: no response")))
    assert ended.value.code == "error: rows.jsonl:3: no response"


def test_such_an_end_is_status_one_and_one_line_without_a_traceback():
    code = (
        "from picollm.core import entry\nfrom picollm.core.errors import DataError\n"
        "def main(): raise DataError('bad row')\nentry.run(main)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "error: bad row\n")


def test_a_signal_ends_the_process_with_its_status_and_what_to_do(capsys):
    with pytest.raises(SystemExit) as ended:
        entry.run(failing(errors.Interrupted(signal.SIGTERM)))
    assert ended.value.code == 143
    assert capsys.readouterr().out == "stopped by SIGTERM; the same command goes on from here\n"


def test_ctrl_c_before_any_training_is_no_traceback():
    with pytest.raises(SystemExit) as ended:
        entry.run(failing(KeyboardInterrupt()))
    assert ended.value.code == 130


def test_any_other_error_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        entry.run(failing(ZeroDivisionError()))


def test_a_good_end_is_quiet():
    calls = []
    entry.run(lambda: calls.append("called"))
    assert calls == ["called"]
