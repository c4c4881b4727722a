"""A copy of the project in its own Git repository, with preset smoke, in which the slow tests run a user's commands."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
TRACKED = (
    "picollm",
    "stages",
    "presets",
    "data/raw/README.md",
    "params.yaml",
    "dvc.yaml",
    ".gitignore",
    ".dvcignore",
    ".dvc/config",
    ".dvc/.gitignore",
)
STAGES = {"check", "make_datasets", "import_models", "tokenize", "check_lengths", "pretrain", "sft", "candidates", "reference", "dpo",
          "track"}  # fmt: skip
STAGES |= {f"{stage}@{model}" for stage in ("sample", "score") for model in ("base", "sft", "dpo")} | {
    "evaluate",
    "plot",
}
AFTER_DPO = {"dpo", "sample@dpo", "score@dpo", "evaluate", "plot"}
# Variables of the test process that must not affect the commands.
REMOVED = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "NPROC")


class Project:
    """A Git repository of the project, and the environment of the commands that run in it.

    `environment` may be changed and applies to every later command. Byte code is always written, to test that it does not
    make a stage out of date.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(("GIT_", "DVC_"))}
        self.environment = {
            **{name: text for name, text in inherited.items() if name not in REMOVED},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DEVICE": "cpu",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"),  # the default would outlive the test
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@localhost",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@localhost",
        }

    def run(self, *command: str, ok: bool = True, **environment: str) -> str:
        """The output of a command; `environment` is added to the project's for this command only.

        Returns when the command and all processes that inherited its output have ended. Raises AssertionError if it fails,
        or with `ok=False` if it succeeds.
        """
        done = subprocess.run(command, **self._settings(environment))
        assert (done.returncode == 0) == ok, done.stdout
        return done.stdout

    def start(self, *command: str, **environment: str) -> subprocess.Popen[str]:
        """The running command, with stdout and stderr in one pipe; a `with` block waits for it and closes the pipe.

        It has its own process group: os.killpg(process.pid, ...) signals it and its children only.
        """
        return subprocess.Popen(command, start_new_session=True, **self._settings(environment))

    def _settings(self, environment: dict[str, str]) -> dict:
        return {
            "cwd": self.folder,
            "env": {**self.environment, **environment},
            "text": True,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        }

    def ran(self, output: str) -> set[str]:
        """The stages that a DVC command executed, according to its output."""
        return set(re.findall("^Running stage '(.+)'", output, re.MULTILINE))

    def restored(self, output: str) -> set[str]:
        """The stages whose outputs a DVC command took from the run-cache, according to its output."""
        return set(re.findall("^Stage '(.+)' is cached - skipping run", output, re.MULTILINE))

    def replace(self, old: str, new: str, file: str = "params.yaml") -> None:
        """Replace a text that occurs exactly once in the file."""
        text = (self.folder / file).read_text()
        assert text.count(old) == 1, f"{file}: {old!r} occurs {text.count(old)} times, expected once"
        (self.folder / file).write_text(text.replace(old, new))

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)

    def status(self) -> str:
        """Changed, staged and untracked files, one per line in Git's notation."""
        return self.run("git", "status", "--porcelain", "--untracked-files=all")

    def reset(self) -> None:
        """Restore the working tree and DVC's outputs from the last commit."""
        self.run("git", "reset", "-q", "--hard")
        self.run("git", "clean", "-qfd")
        self.run("dvc", "checkout", "-q")

    def experiment(self, name: str) -> str:
        """The commit that DVC made for an experiment."""
        return self.run("git", "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}").strip()

    def metrics(self, revision: str | None = None) -> dict:
        """metrics/eval.json of the working tree, or of a commit."""
        if revision:
            return json.loads(self.run("git", "show", f"{revision}:metrics/eval.json"))
        return json.loads((self.folder / "metrics/eval.json").read_text())

    def hashes(self) -> dict[str, str]:
        """SHA-256 of dvc.lock and of every file in data/, models/, metrics/ and plots/, by path. The order of dvc.lock's stages, which
        is that in which they ran, does not count."""
        roots = [self.folder / name for name in ("data", "models", "metrics", "plots")]
        content = {path: path.read_bytes() for root in roots for path in root.rglob("*") if path.is_file()}
        lock = self.folder / "dvc.lock"
        content[lock] = json.dumps(yaml.safe_load(lock.read_text()), sort_keys=True).encode()
        return {str(path.relative_to(self.folder)): hashlib.sha256(text).hexdigest() for path, text in content.items()}

    def clone(self, folder: Path) -> "Project":
        """A clone by `git clone`: the last commit, without DVC's cache."""
        self.run("git", "clone", "-q", str(self.folder), str(folder))
        return Project(folder)


def make_project(folder: Path) -> Project:
    """Copy the project into `folder`, with preset smoke, as the first commit of a new repository; no stage has run."""
    for name in TRACKED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    project = Project(folder)
    project.replace("preset: cpu", "preset: smoke")
    project.run("git", "init", "-q")
    project.commit("start")
    return project
