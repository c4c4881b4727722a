"""Studies: grids of DVC experiments over parameters and seeds, studies/NAME.yaml -> studies/NAME.csv, one row an experiment."""

import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import pandas as pd
from pydantic import Field
from tqdm import tqdm

from picollm.core import config, files
from picollm.core.config import Settings
from picollm.core.errors import DataError, ParamsError

# What is read of a finished experiment beside all of metrics/eval.json: keys of two files, and their columns.
DETAILS = "metrics/details/eval.json"
MEASURES = {
    **{f"dpo.test.{name}{end}": f"dpo.{name}{end}" for name in ("gain", "kl", "kl_efficiency", "reward") for end in ("_low", "_high")},
    **{f"dpo.test.{name}": f"dpo.{name}" for name in (
        "reward", "length", "margin", "repetition", "rank_correlation", "length_share", "length_share_target", "length_slope",
    )},
    "sft.test.length": "sft.length",
    **{name: name for name in ("track.kept_step", "track.best_step", "track.regret")},
}  # fmt: skip
TRAINING = "metrics/details/dpo.json"
VALIDATION = {f"best_{name}": f"validation.{name}" for name in (
    "step", "loss", "rewards/accuracies", "rewards/margins", "rewards/chosen", "rewards/rejected", "logps/chosen",
)}  # fmt: skip
COLUMNS = ("experiment", "commit", "seconds", "dvc_seconds", "error")


class StudyFile(Settings):
    """`common`: parameters of every run. `grid`: blocks of parameters, each with one value or a list of values; a block stands for
    every combination of its values. `seeds`: parameters and their values, which go together: the first of each, the second of each,
    ... `baseline`: the parameters, beside the common ones, of the configuration with which the others are compared seed by seed."""

    common: dict[str, Any] = Field(default_factory=dict)
    grid: list[dict[str, Any]] = Field(min_length=1)
    seeds: dict[str, list[int | str]]
    baseline: dict[str, Any]


@dataclass(frozen=True)
class Study:
    """The experiments of a study file: `configurations` times `seeds`, each a mapping of parameters to values."""

    path: Path
    configurations: list[dict[str, Any]]
    seeds: list[dict[str, int | str]]
    baseline: dict[str, Any]

    @property
    def csv(self) -> Path:
        return self.path.with_suffix(".csv")

    def runs(self) -> list[dict[str, Any]]:
        return [configuration | seed for seed in self.seeds for configuration in self.configurations]


def read_study(path: Path) -> Study:
    """Raises ParamsError for a file that is no study, for a run that occurs twice, and for a baseline that is none of the grid's
    configurations."""
    content = config.validated(StudyFile, config.read_yaml(path), str(path))
    for name in content.common:
        if any(name in block for block in (*content.grid, content.baseline)):
            raise ParamsError(f"{path}: {name}: in common and in grid or baseline; expected in one of them")
    configurations = [content.common | values for block in content.grid for values in _combinations(block, path)]
    baseline = content.common | content.baseline
    if key(baseline) not in map(key, configurations):
        raise ParamsError(f"{path}: baseline: {key(content.baseline)}: expected one of the grid's configurations")
    if len({len(values) for values in content.seeds.values()}) != 1 or not all(content.seeds.values()):
        raise ParamsError(f"{path}: seeds: expected one or more parameters with the same number of values, at least 1")
    for name in content.seeds:
        if any(name in values for values in configurations):
            raise ParamsError(f"{path}: {name}: in grid and in seeds; expected in one of them")
    seeds = [dict(zip(content.seeds, values, strict=True)) for values in zip(*content.seeds.values(), strict=True)]
    study = Study(path, configurations, seeds, baseline)
    runs = list(map(key, study.runs()))
    for run in runs:
        if runs.count(run) > 1:
            raise ParamsError(f"{path}: the run {run} occurs twice; expected different configurations and seeds")
    return study


def run_study(study: Study, jobs: int) -> pd.DataFrame:
    """Run the experiments that the CSV file has no row of, or one with an error, `jobs` at a time; return the study's rows.

    They run in a clone of HEAD under .dvc/tmp/, which shares DVC's cache, so that neither edits nor commits in the meantime reach
    them, and a stop cannot reach the workspace. Rows are written as experiments finish. One that fails becomes a row with its
    message under `error`; the others go on.
    """
    rows = [row for row in read_rows(study) if not row["error"]]
    done = {key(row["parameters"]) for row in rows}
    due = [values for values in study.runs() if key(values) not in done]
    if due:
        commit = _clean_commit(study)
        clone = _clone(study, commit)
        bar = tqdm(total=len(study.runs()), initial=len(study.runs()) - len(due), unit="run")
        with bar, closing(_finished(study, due, commit, clone, jobs)) as finished:
            for row in finished:
                rows.append(row)
                write_rows(study, rows)
                bar.update()
                if row["error"]:
                    bar.write(f"{row['experiment']} failed: {row['error']}")
    table = pd.read_csv(study.csv)
    return table[table["parameters"].isin(map(key, study.runs()))]


def _finished(study: Study, due: list[dict], commit: str, clone: Path, jobs: int) -> Iterator[dict[str, Any]]:
    """The rows of the experiments that are due, as they finish; first those that had finished just before a kill."""
    missing = []
    for values in due:
        row = {"parameters": values, "experiment": _name(study, values, commit), "commit": commit[:7]}
        row |= {"seconds": None, "dvc_seconds": None, "error": ""}
        measured = _measured(row["experiment"])
        if measured:
            yield row | measured
        else:
            missing.append(row)
    with ThreadPoolExecutor(jobs) as pool:
        runner = Runner(clone, jobs)
        try:
            futures = {pool.submit(runner.run, row["experiment"], row["parameters"]): row for row in missing}
            for future in as_completed(futures):
                row = futures[future] | future.result()
                if not row["error"]:
                    _fetch(clone, commit)
                    row |= _measured(row["experiment"]) or {"error": "finished, but its metrics cannot be read"}
                yield row
        finally:  # after Ctrl-C or SIGTERM no other experiment must start, and those under way must end
            pool.shutdown(wait=False, cancel_futures=True)
            runner.stop()


class Runner:
    """Runs experiments in `clone`, up to `jobs` at a time."""

    def __init__(self, clone: Path, jobs: int):
        self.clone, self.stopped, self.processes = clone, False, set()
        # DVC locks the repository while it prepares an experiment, and another one waits for that lock for 3 s only.
        self.starting = Lock()
        self.environment = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))} | os.environ

    def run(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        """`dvc exp run --temp` with these parameters: `seconds`, `dvc_seconds`, those outside of stages, and `error`, '' if there is
        none."""
        settings = [f"--set-param={key}={hydra(value)}" for key, value in values.items()]
        command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", name, *settings, "evaluate"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.starting.acquire()
        starting, started, began, in_stages, lines = True, time.monotonic(), None, 0.0, []
        try:
            if self.stopped:
                return {"error": "stopped"}
            process = subprocess.Popen(command, cwd=self.clone, env=self.environment, start_new_session=True, **pipes)
            self.processes.add(process)
            if self.stopped:
                self.stop()
            with process:
                for line in process.stdout:
                    if starting and line.startswith(("Running stage", "Stage '")):
                        self.starting.release()
                        starting = False
                    if began is not None and line.startswith(
                        ("Updating lock file", "Running stage", "Stage '", "ERROR")
                    ):
                        in_stages, began = in_stages + time.monotonic() - began, None
                    if line.startswith("> "):
                        began = time.monotonic()
                    lines.append(line.strip())
            self.processes.discard(process)
        finally:
            if starting:
                self.starting.release()
        seconds = time.monotonic() - started
        error = _error(lines) if process.returncode else ""
        return {"seconds": round(seconds, 1), "dvc_seconds": round(seconds - in_stages, 1), "error": error}

    def stop(self) -> None:
        """End the experiments under way, with the stages that they run."""
        self.stopped = True
        for process in list(self.processes):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def _error(lines: list[str]) -> str:
    """The last line before DVC's own message, which is that of the stage that failed; DVC's if there is none."""
    lines = [line for line in lines if line]
    place = next((place for place, line in enumerate(lines) if line.startswith("ERROR")), len(lines))
    before = [line for line in lines[:place] if not line.startswith(("> ", "Running stage", "Reproducing experiment"))]
    return (before[-1:] or lines[place : place + 1] or ["no output"])[0]


def read_rows(study: Study) -> list[dict[str, Any]]:
    """The rows of the CSV file, if there is one: `parameters` and, as text, COLUMNS and the measures. Also those that the grid does not
    have any more, so that they are kept."""
    if not study.csv.exists():
        return []
    try:
        table = pd.read_csv(study.csv, dtype=str, keep_default_na=False)  # as text, which keeps every digit
    except ValueError as error:
        raise DataError(f"{study.csv}: not CSV: {error}") from None
    for name in ("parameters", *COLUMNS):
        if name not in table:
            raise DataError(f"{study.csv}: no column {name}; expected the rows of a study")
    return [{**row, "parameters": json.loads(row["parameters"])} for row in table.to_dict("records")]


def write_rows(study: Study, rows: list[dict[str, Any]]) -> None:
    """All rows in the study's order, `parameters` as one column of JSON and beside it a column for each parameter."""
    order = {key(values): place for place, values in enumerate(study.runs())}
    rows = sorted(rows, key=lambda row: order.get(key(row["parameters"]), len(order)))
    flat = [{**row, "parameters": key(row["parameters"]), **_texts(row["parameters"])} for row in rows]
    names = dict.fromkeys(name for row in rows for name in row["parameters"])
    measures = dict.fromkeys(name for row in flat for name in row)
    table = pd.DataFrame(flat, columns=list(dict.fromkeys(["parameters", *names, *COLUMNS, *measures])))
    with files.write_atomic(study.csv) as file:
        table.to_csv(file, index=False)


def _name(study: Study, values: dict[str, Any], commit: str) -> str:
    return f"{study.path.stem}-{hashlib.sha256(f'{commit} {key(values)}'.encode()).hexdigest()[:10]}"


def _measured(name: str) -> dict[str, float] | None:
    """The measures of a finished experiment; None if there is no experiment of this name."""
    from dvc.api import DVCFileSystem
    from dvc.scm import RevError

    try:
        with closing(DVCFileSystem(".", rev=name)) as experiment:
            texts = [experiment.read_text(path) for path in ("metrics/eval.json", DETAILS, TRAINING)]
    except (RevError, FileNotFoundError):
        return None
    headline, details, training = map(json.loads, texts)
    found = headline | {column: details[key] for key, column in MEASURES.items() if key in details}
    return found | {column: training[key] for key, column in VALIDATION.items() if key in training}


def _clean_commit(study: Study) -> str:
    """HEAD's hash. Raises ParamsError if a tracked file other than the study's own has changed, for an experiment has it as it is in
    HEAD."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--no-renames", "-z").split("\0")
    prefix = _git("rev-parse", "--show-prefix").strip()
    own = {
        f"{prefix}{study.path.with_suffix(suffix).as_posix()}"
        for suffix in (".yaml", ".csv", ".summary.csv", ".proxies.csv", ".png")
    }
    for path in (line[3:] for line in changed if line):
        if path not in own:
            raise ParamsError(
                f"{path}: changed since the last commit; expected a study of committed files: commit or restore it"
            )
    return _git("rev-parse", "HEAD").strip()


def _clone(study: Study, commit: str) -> Path:
    """A new clone at `commit` that shares DVC's cache. Of the one before it are taken the experiments that finished, and the saved
    states of stages that were stopped."""
    folder = Path(".dvc/tmp/studies") / study.path.stem
    states, kept = folder / ".resume", folder.with_suffix(".resume")
    if (folder / ".git").exists():
        _fetch(folder, commit)
        if states.exists():
            shutil.rmtree(kept, ignore_errors=True)
            states.rename(kept)
        shutil.rmtree(folder)
    _git("clone", "--quiet", "--shared", "--no-checkout", ".", str(folder))
    if kept.exists():
        kept.rename(states)
    _git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    dvc = [sys.executable, "-m", "dvc", "cache", "dir"]
    cache = subprocess.run(dvc, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run([*dvc, "--local", str(Path(cache).absolute())], cwd=folder, capture_output=True, check=True)
    return folder


def _fetch(clone: Path, commit: str) -> None:
    """Bring the clone's experiments on `commit` into this repository, where `dvc exp show` finds them."""
    refs = f"refs/exps/{commit[:2]}/{commit[2:]}/*"
    _git("fetch", "--quiet", str(clone), f"{refs}:{refs}")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise ParamsError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def hydra(value: Any) -> str:
    """A value as `dvc exp run --set-param` takes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {hydra(item)}" for key, item in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)


def _combinations(block: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
    choices = [value if isinstance(value, list) else [value] for value in block.values()]
    if not all(choices):
        raise ParamsError(f"{path}: grid: {block}: an empty list; expected at least one value")
    for values in itertools.product(*choices):
        yield dict(zip(block, values, strict=True))


def key(values: dict[str, Any]) -> str:
    """JSON of the parameters in which 1 and 1.0 are the same."""
    return json.dumps({name: _number(value) for name, value in values.items()}, sort_keys=True)


def _number(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _number(item) for name, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {key: hydra(value) for key, value in values.items()}
