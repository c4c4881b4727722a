import inspect
import os
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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_text_that_the_streams_cannot_encode_is_printed_escaped(encoding):
    code = (
        "import sys\nfrom picollm.core import entry\ndef main():\n"
        r"    print('caf\xe9 \u4e2d \ud800'); print('\u4e2d \ud800', file=sys.stderr)"
        "\nentry.run(main)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True)
    text = "café 中 \ud800\n".encode(encoding, errors="backslashreplace")
    assert (ended.returncode, ended.stdout) == (0, text)
    assert ended.stderr == "中 \ud800\n".encode(encoding, errors="backslashreplace")


@pytest.mark.parametrize(
    "body", ["for n in range(100_000): print(n)", "print(0, flush=True); sys.stdin.read(); print(1)"]
)
def test_a_closed_stdout_ends_the_process_with_one_line(body):
    code = f"import sys\nfrom picollm.core import entry\ndef main():\n    {body}\nentry.run(main)"
    environment = {
        name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"
    }  # else nothing is left to flush
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, **pipes) as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == "error: broken pipe: stdout was closed\n"
    assert process.returncode == 128 + signal.SIGPIPE


def test_a_signal_ends_the_process_with_its_status_and_what_to_do(capsys):
    with pytest.raises(SystemExit) as ended:
        entry.run(failing(errors.Interrupted(signal.SIGTERM)))
    assert ended.value.code == 143
    assert capsys.readouterr().out == "stopped by SIGTERM; run the same command again to resume\n"


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
