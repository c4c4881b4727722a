"""Studies: grids of DVC experiments over parameters and seeds, studies/NAME.yaml -> studies/NAME.csv, one row an experiment."""

import hashlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
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
    **{f"dpo.test.{name}": f"dpo.{name}" for name in ("length", "margin", "repetition", "rank_correlation")},
    "sft.test.length": "sft.length",
    **{name: name for name in ("track.kept_step", "track.best_step", "track.regret")},
}  # fmt: skip
TRAINING = "metrics/details/dpo.json"
VALIDATION = {f"best_{name}": f"validation.{name}" for name in (
    "step", "loss", "rewards/accuracies", "rewards/margins", "rewards/chosen", "rewards/rejected", "logps/chosen",
)}  # fmt: skip
COLUMNS = ("experiment", "commit", "seconds", "dvc_seconds", "error")


class StudyFile(Settings):
    """`grid`: blocks of parameters, each with one value or a list of values; a block stands for every combination of its values.
    `seeds`: parameters and their values, which go together: the first of each, the second of each, ... `baseline`: the parameters of
    the configuration with which the others are compared seed by seed."""

    grid: list[dict[str, Any]] = Field(min_length=1)
    seeds: dict[str, list[int]]
    baseline: dict[str, Any]


@dataclass(frozen=True)
class Study:
    """The experiments of a study file: `configurations` times `seeds`, each a mapping of parameters to values."""

    path: Path
    configurations: list[dict[str, Any]]
    seeds: list[dict[str, int]]
    baseline: dict[str, Any]

    @property
    def csv(self) -> Path:
        return self.path.with_suffix(".csv")

    def runs(self) -> list[dict[str, Any]]:
        return [configuration | seed for seed in self.seeds for configuration in self.configurations]


def read_study(path: Path) -> Study:
    """Raises ParamsError for a file that is no study, for a configuration that occurs twice, and for a baseline that is none of them."""
    content = config.validated(StudyFile, config.read_yaml(path), str(path))
    configurations = [values for block in content.grid for values in _combinations(block)]
    if len({key(values) for values in configurations}) < len(configurations):
        raise ParamsError(f"{path}: grid: the same configuration occurs twice")
    if content.baseline not in configurations:
        raise ParamsError(f"{path}: baseline: {key(content.baseline)}: expected one of the grid's configurations")
    lengths = {len(values) for values in content.seeds.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ParamsError(f"{path}: seeds: expected one or more parameters with the same number of values, at least 1")
    seeds = [dict(zip(content.seeds, values, strict=True)) for values in zip(*content.seeds.values(), strict=True)]
    return Study(path, configurations, seeds, content.baseline)


def run_study(study: Study, jobs: int) -> pd.DataFrame:
    """Run the experiments that the CSV file has no row of, or one with an error, `jobs` at a time; return all rows.

    Rows are written as experiments finish. One that fails becomes a row with its message under `error`; the others go on.
    """
    rows = read_rows(study)
    done = {key(row["parameters"]) for row in rows if not row["error"]}
    rows = [row for row in rows if key(row["parameters"]) in done]
    due = [values for values in study.runs() if key(values) not in done]
    commit = _clean_commit(study)
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(study.runs()), initial=len(rows), unit="run") as bar:
        futures, processes = {}, []
        for values in due:
            row = {"parameters": values, "experiment": _name(study, values, commit), "commit": commit}
            row |= {"seconds": None, "dvc_seconds": None, "error": ""}
            if measured := _measured(row["experiment"]):  # it finished just before a kill
                rows.append(row | measured)
                bar.update()
            else:
                futures[pool.submit(_run_dvc, row["experiment"], values, jobs, processes)] = row
        try:
            for future in as_completed(futures):
                row = futures[future] | future.result()
                rows.append(row | ({} if row["error"] else _measured(row["experiment"])))
                write_rows(study, rows)
                bar.update()
                if row["error"]:
                    bar.write(f"{row['experiment']} failed: {row['error']}")
        except BaseException:  # Ctrl-C and SIGTERM too: no other experiment must start, and those under way must end
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
            raise
    write_rows(study, rows)
    return pd.read_csv(study.csv)


def read_rows(study: Study) -> list[dict[str, Any]]:
    """The rows of the CSV file, if there is one, that belong to the study: `parameters` and, as text, COLUMNS and the measures."""
    if not study.csv.exists():
        return []
    known = {key(values): values for values in study.runs()}
    try:
        table = pd.read_csv(study.csv, dtype=str, keep_default_na=False)  # as text, which keeps every digit
    except ValueError as error:
        raise DataError(f"{study.csv}: not CSV: {error}") from None
    if "parameters" not in table:
        raise DataError(f"{study.csv}: no column parameters; expected the rows of a study")
    rows = table.to_dict("records")
    return [{**row, "parameters": known[row["parameters"]]} for row in rows if row["parameters"] in known]


def write_rows(study: Study, rows: list[dict[str, Any]]) -> None:
    """All rows in the study's order, `parameters` as one column of JSON and beside it a column for each parameter."""
    order = {key(values): place for place, values in enumerate(study.runs())}
    rows = sorted(rows, key=lambda row: order[key(row["parameters"])])
    flat = [{**row, "parameters": key(row["parameters"]), **_texts(row["parameters"])} for row in rows]
    names = dict.fromkeys(name for values in study.runs() for name in values)
    measures = dict.fromkeys(name for row in flat for name in row)
    table = pd.DataFrame(flat, columns=list(dict.fromkeys(["parameters", *names, *COLUMNS, *measures])))
    with files.write_atomic(study.csv) as file:
        table.to_csv(file, index=False)


def _name(study: Study, values: dict[str, Any], commit: str) -> str:
    return f"{study.path.stem}-{hashlib.sha256(f'{commit} {key(values)}'.encode()).hexdigest()[:10]}"


def _run_dvc(name: str, values: dict[str, Any], jobs: int, processes: list[subprocess.Popen]) -> dict[str, Any]:
    """`dvc exp run --temp` with these parameters, in a session of its own whose process is added to `processes`: `seconds`,
    `dvc_seconds`, those outside of stages, and `error`, '' if there is none."""
    settings = [f"--set-param={key}={hydra(value)}" for key, value in values.items()]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", name, *settings, "evaluate"]
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))}
    started, began, in_stages, lines = time.monotonic(), None, 0.0, []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, env=threads | os.environ, start_new_session=True, **pipes) as process:
        processes.append(process)
        for line in process.stdout:
            if began is not None and line.startswith(("Updating lock file", "Running stage", "Stage '", "ERROR")):
                in_stages, began = in_stages + time.monotonic() - began, None
            if line.startswith("> "):
                began = time.monotonic()
            lines.append(line.strip())
    seconds = time.monotonic() - started
    errors = [line for line in lines if line.lower().startswith("error")] or list(filter(None, lines)) or ["no output"]
    error = errors[0] if process.returncode else ""
    return {"seconds": round(seconds, 1), "dvc_seconds": round(seconds - in_stages, 1), "error": error}


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
    """HEAD's short name. Raises ParamsError if a tracked file but the study's own has changed: an experiment would contain the change,
    and its row would name a commit that does not."""
    status = subprocess.run(["git", "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True).stdout
    changed = [line[3:] for line in status.splitlines() if not line[3:].endswith((study.csv.name, study.path.name))]
    if changed:
        raise ParamsError(
            f"{changed[0]}: changed since the last commit; expected a study of committed files: commit or restore it"
        )
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    return head.stdout.strip()


def hydra(value: Any) -> str:
    """A value as `dvc exp run --set-param` takes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {hydra(item)}" for key, item in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)


def _combinations(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    choices = [value if isinstance(value, list) else [value] for value in block.values()]
    for values in itertools.product(*choices):
        yield dict(zip(block, values, strict=True))


def key(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {key: hydra(value) for key, value in values.items()}
