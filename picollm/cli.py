"""The commands of python -m picollm. Heavy imports are inside functions, so that --help is quick."""

import argparse
import signal
from pathlib import Path

from picollm.core.errors import Interrupted
from picollm.stories.spec import SLOTS

SEEDS = 2**31
MOST_STORIES = 10_000


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m picollm",
        description="Write a horror story with a trained model, say whether a run is better than another, run a study, draw its "
        "frontier, or remove the saved state of unfinished training runs. The pipeline itself is run by DVC: dvc repro, dvc exp run.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_write(commands)
    verdict = commands.add_parser(
        "verdict",
        help="say whether a run is better than another",
        description="Compare what evaluate measured in the workspace, or in each REV, with a baseline: differences with paired "
        "95 % intervals over prompts, and a sentence.",
    )
    verdict.add_argument(
        "revisions", nargs="*", metavar="REV", help="experiments or Git revisions (default: the workspace)"
    )
    verdict.add_argument("--against", default="HEAD", metavar="REV", help="the baseline (default: HEAD)")
    verdict.set_defaults(run=print_verdict)
    study = commands.add_parser(
        "study",
        help="run a grid of experiments over parameters and seeds",
        description="Run the experiments of a study file that its CSV file has no row of, and print what they found. Stopped, the "
        "same command goes on.",
    )
    study.add_argument("file", metavar="studies/NAME.yaml", help="the grid, the seeds and the baseline")
    study.add_argument("--jobs", type=_count, default=2, metavar="N", help="experiments at a time (default: 2)")
    study.set_defaults(run=run_study)
    frontier = commands.add_parser(
        "frontier",
        help="draw true reward against KL of many experiments",
        description="Draw gain against KL of the experiments of `dvc exp show` into frontier.png, with their numbers in "
        "frontier.csv; or of a study, studies/NAME.csv, into studies/NAME.png. Beside them stands the optimum of the workspace's SFT "
        "model. Print kl_efficiency at equal gain.",
    )
    frontier.add_argument(
        "study", nargs="?", metavar="studies/NAME.csv", help="the rows of a study (default: all experiments)"
    )
    frontier.set_defaults(run=draw_frontier)
    clean = commands.add_parser(
        "clean",
        help="remove the saved state of unfinished runs",
        description="List the saved states in .resume/, which killed runs resume from, and remove those that no process uses.",
    )
    clean.add_argument("--dry-run", action="store_true", help="list only")
    clean.set_defaults(run=clean_states)
    return top


def _add_write(commands) -> None:
    write = commands.add_parser(
        "write",
        help="write a story for a random or given specification, or for any prompt",
        description="Compose a random specification of the parts that the model was trained on, with the given slots fixed, and write "
        "a story that follows it; or continue any prompt.",
    )
    write.add_argument("--model", default="models/dpo", metavar="DIR", help="a model directory (default: models/dpo)")
    write.add_argument("--prompt", metavar="TEXT", help="continue this text, for a model that knows no specifications")
    write.add_argument("--unseen", action="store_true", help="compose of the parts that were withheld from training")
    write.add_argument("--seed", type=_seed, metavar="N", help="random seed (default: a new one, printed)")
    write.add_argument("--temperature", type=float, metavar="T", help="0 is greedy (default: reader.temperature)")
    write.add_argument("--top-p", type=float, metavar="P", help="1 keeps every token (default: reader.top_p)")
    write.add_argument(
        "--best-of",
        type=_count,
        default=1,
        metavar="N",
        help="draw N stories and print the one with the most dread: the baseline that needs no training",
    )
    for slot in SLOTS:
        write.add_argument(f"--{slot}", metavar="TEXT", help=argparse.SUPPRESS)
    write.epilog = f"Slots: {', '.join(f'--{slot} TEXT' for slot in SLOTS)}."
    write.set_defaults(run=print_story, refuse=write.error)


def print_story(options: argparse.Namespace) -> None:
    """Print a prompt and a model's story for it."""
    given = {slot: value for slot in SLOTS if (value := getattr(options, slot)) is not None}
    if options.prompt is not None and (given or options.unseen):
        options.refuse("--prompt is the whole prompt; expected neither slots nor --unseen beside it")
    from picollm.write import write

    decoding = {"temperature": options.temperature, "top_p": options.top_p}
    print(write(options.model, options.prompt, given, options.unseen, options.seed, decoding, options.best_of))


def print_verdict(options: argparse.Namespace) -> None:
    """Print whether each revision is better than the baseline."""
    from picollm.verdict import verdict

    print(verdict(options.revisions, options.against))


def run_study(options: argparse.Namespace) -> None:
    """Run a study; write and print its summary."""
    from picollm.lab import proxies, study, summary

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    found = study.read_study(Path(options.file))
    table = study.run_study(found, options.jobs)
    print(summary.write_summary(found, table))
    print(proxies.write_correlations(found, table), end="")


def draw_frontier(options: argparse.Namespace) -> None:
    """Write the figure of a study, or that of all experiments and their table."""
    from picollm.lab import drawing
    from picollm.lab import frontier as lab

    if options.study:
        study = Path(options.study)
        table, figure, baseline = lab.of_study(study), study.with_suffix(".png"), lab.baseline_of(study)
    else:
        table, figure, baseline = lab.of_experiments(), Path("frontier.png"), lab.workspace_loss()
    drawing.save(lab.frontier(table, "metrics/details/eval.json", "plots/optimum.csv"), figure)
    if not options.study:
        lab.write_table(table, figure.with_suffix(".csv"))
    print(f"{figure}: {len(table)} experiments")
    shown = {"index": False, "na_rep": "-", "float_format": "{:.3g}".format}
    print(lab.at_equal_gain(table).to_string(**shown))
    differences = lab.paired_at_equal_gain(table, baseline)
    if len(differences):
        print(f"kl_efficiency less that of {baseline} with the same seed at the same gain, 95 % intervals over seeds:")
        print(differences.to_string(**shown))


def clean_states(options: argparse.Namespace) -> None:
    """Remove the saved states that no process uses, and print all of them with the outcome."""
    from picollm.training import resume

    found = resume.saved_runs()
    for saved in found:
        step = "no complete step" if saved.step is None else f"step {saved.step}"
        outcome = f"in use by {saved.holder}" if saved.holder else "kept"
        if not options.dry_run and resume.remove_unused(saved):
            outcome = "removed"
        print(f"{saved.folder}: {step}, {saved.size / 1e6:.1f} MB: {outcome}")
    if not found:
        print(f"{resume.states_folder()}: no saved state")


def _interrupted(number: int, frame: object) -> None:
    raise Interrupted(signal.Signals(number))


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < SEEDS):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 0 to {SEEDS - 1}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) <= MOST_STORIES):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 to {MOST_STORIES}")
    return int(text)


def main() -> None:
    options = parser().parse_args()
    options.run(options)
