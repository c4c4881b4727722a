import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STAGES = sorted(path.stem for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")


def spin_count(module: str, **environment: str) -> str:
    """What OpenMP's runtime, which says so when it is loaded, reads from the environment of a process that imports a module."""
    inherited = {key: text for key, text in os.environ.items() if key not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}, torch"],
        env={**inherited, "OMP_DISPLAY_ENV": "verbose", **environment},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    (line,) = {line.strip() for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line}
    return line.split("'")[1]


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP")
@pytest.mark.parametrize("module", [*(f"stages.{stage}" for stage in STAGES), "picollm.cli"])
def test_waiting_threads_soon_sleep_in_every_stage(module):
    assert spin_count(module) == "2000"


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP")
def test_what_the_user_sets_stays():
    assert spin_count("stages.sft", GOMP_SPINCOUNT="77") == "77"
    assert spin_count("stages.sft", OMP_WAIT_POLICY="active") not in ("2000", "300000")
