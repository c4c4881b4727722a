import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pandas as pd
import pytest

from picollm.core import files
from picollm.preference.objective import preference
from picollm.training.run import History
from tests.tiny import dpo, pair_rows, tiny_model
from tests.training.test_loop import finish, make_run

ROOT = Path(__file__).parents[2]
REWARDS = [
    "rewards/chosen",
    "rewards/rejected",
    "rewards/accuracies",
    "rewards/margins",
    "logps/chosen",
    "logps/rejected",
]


def read_csv(path: Path) -> dict[str, list]:
    return pd.read_csv(path).to_dict("list")


def test_history_is_written_as_dense_csv_and_numbers_without_a_time(tmp_path):
    run = make_run()
    history = finish(run)
    history.write(run, str(tmp_path / "plots"), str(tmp_path / "metrics.json"))
    train, validation = (read_csv(tmp_path / "plots" / f"{name}.csv") for name in ("train", "val"))
    assert train["step"] == [1, 2, 3, 4, 5, 6]
    assert validation["step"] == [0, 2, 4, 6]
    numbers = files.read_json(tmp_path / "metrics.json")
    assert numbers["best_loss"] == min(validation["loss"])
    assert numbers["parameters"] == sum(parameter.numel() for parameter in run.model.parameters())


@pytest.mark.parametrize(
    ("terms", "columns"),
    [
        ({}, REWARDS),
        ({"sft_weight": 0.5}, [*REWARDS, "preference_loss"]),
        ({"kl_weight": 0.5}, [*REWARDS, "kl/chosen", "preference_loss"]),
    ],
)
def test_the_columns_of_a_preference_run_have_trls_names(terms, columns, tmp_path):
    run = make_run(None, preference(dpo(**terms), tiny_model(seed=1)), pair_rows(10), pair_rows(5), steps=2)
    finish(run).write(run, str(tmp_path), str(tmp_path / "metrics.json"))
    train, validation = (read_csv(tmp_path / f"{name}.csv") for name in ("train", "val"))
    assert list(validation) == ["step", "loss", *columns]
    assert list(train) == ["step", "loss", *columns, "learning_rate", "grad_norm", "num_tokens"]
    numbers = files.read_json(tmp_path / "metrics.json")
    other = {"best_step", "best_loss", "steps", "tokens", "row_tokens", "row_tokens_max", "parameters"}
    assert set(numbers) == other | {f"best_{name}" for name in columns}


def test_validations_since_the_best_are_counted():
    history = History(validation=[{"step": step} for step in (0, 2, 4, 6)], best_step=2)
    assert history.validations_since_best == 2


def test_a_run_says_first_what_it_will_do(capsys):
    run = make_run(steps=6, batch_size=8)
    finish(run)
    first, second, *_ = capsys.readouterr().out.splitlines()
    tokens = sum(map(len, run.train.sequences))
    # 6 steps of 8 rows read 20 rows 2.4 times.
    assert first == f"sft: 6 steps of 8 rows, 2.40 epochs of 20 rows ({tokens} tokens); 6 rows for validation"
    parameters = sum(parameter.numel() for parameter in run.model.parameters())
    assert re.fullmatch(rf"sft: {parameters:,} parameters in float32 on cpu \(\d+ threads?\), 1 process", second)


def test_without_a_terminal_a_line_comes_every_tenth_of_the_steps(capsys):
    rows = pair_rows(10)
    finish(make_run(None, preference(dpo()), rows, rows, steps=20, validate_every=100))
    output = capsys.readouterr()
    number = r"\d\.\d{3}"
    line = rf"^sft: step (\d+)/20: loss {number}, rewards/accuracies {number}, [\d,]+ tokens/s, \d\d:\d\d left$"
    assert re.findall(line, output.out, re.MULTILINE) == [str(step) for step in range(2, 21, 2)]
    assert output.err == ""


def test_on_a_terminal_there_is_a_bar_and_no_line():
    code = "from tests.training.test_loop import finish, make_run; finish(make_run(steps=20, validate_every=100))"
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 100))
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=end, stderr=end) as process:
        os.close(end)
        output = b""
        try:
            while block := os.read(terminal, 2**16):
                output += block
        except OSError:  # how a pseudo-terminal says that its other end was closed
            os.close(terminal)
    assert process.returncode == 0
    assert b"sft: 100%" in output and b"20/20" in output
    assert b"sft: step 20/20: validation" in output
    assert b" left" not in output
