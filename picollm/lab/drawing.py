"""What the figures share: colours, axes, reading their inputs, saving. No torch, no display."""

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from picollm.core import files
from picollm.core.errors import DataError

# Okabe and Ito's colours, which colour-blind readers can tell apart.
BLUE, VERMILION, GREEN, LIGHT_GREY, DARK_GREY = "#0072B2", "#D55E00", "#009E73", "#999999", "#555555"
MODEL_COLOURS = {"base": LIGHT_GREY, "sft": BLUE, "dpo": VERMILION}
DPI = 120
plain_style = style.context("default")  # DejaVu Sans and Matplotlib's own defaults, while drawing and while saving


class Evaluation(dict):
    """The flat numbers of metrics/details/eval.json; a missing key is a DataError that names file and key."""

    def __init__(self, path: str | Path):
        super().__init__(files.read_json(path))
        self.path = path

    def __missing__(self, key: str) -> float:
        raise DataError(f"{self.path}: no {key}; run the evaluate stage again")

    def groups(self, measure: str) -> list[str]:
        """The splits and their strata on which the DPO model has the measure: test, test.degree, unseen, ..."""
        keys = [key for key in self if key.startswith("dpo.") and key.endswith(f".{measure}")]
        return sorted({"test"} | {key.removeprefix("dpo.").removesuffix(f".{measure}") for key in keys})


@plain_style
def save(figure: Figure, path: str | Path) -> None:
    """Write a PNG without a date or a version in it, whole or not at all."""
    FigureCanvasAgg(figure)
    with files.write_atomic(path, "wb") as file:
        figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})


def read_table(
    path: str | Path, numbers: Sequence[str], text: Sequence[str] = (), may_be_empty: bool = False
) -> pd.DataFrame:
    """The CSV file's rows, the columns `numbers` as float64.

    Raises DataError for a missing column, a cell of `numbers` that is no finite number, and for no rows unless
    `may_be_empty`.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise DataError(f"{path}: not CSV: {error}") from None
    for name in (*numbers, *text):
        if name not in table:
            raise DataError(f"{path}: no column {name}; found {', '.join(table)}")
    for name in numbers:
        values = pd.to_numeric(table[name], errors="coerce").astype(float)
        for line, (cell, value) in enumerate(zip(table[name], values, strict=True), start=2):
            if not math.isfinite(value):
                raise DataError(f"{path}:{line}: {name} is {cell!r}, expected a finite number")
        table[name] = values
    if table.empty and not may_be_empty:
        raise DataError(f"{path}: no rows; expected at least one")
    return table


def annotate(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    if x == "step":
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))


def legend(axes: Axes, below: float = 0.16) -> None:
    """One line under the axes, where it covers no data."""
    axes.legend(frameon=False, ncols=5, fontsize=9, columnspacing=1.2, loc="upper center", bbox_to_anchor=(0.5, -below))
