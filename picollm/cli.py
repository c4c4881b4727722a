"""The commands of python -m picollm: write, verdict and clean. Heavy imports are inside functions, so that --help is quick."""

import argparse
import dataclasses
import random

from picollm.stories.spec import SLOTS

SEEDS = 2**31


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m picollm",
        description="Write a horror story with a trained model, or remove the saved state of unfinished training runs. "
        "The pipeline itself is run by DVC: dvc repro, dvc exp run.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    write = commands.add_parser(
        "write",
        help="write a story for a random or given specification",
        description="Compose a random specification, with the given slots fixed, and write a story that follows it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    write.add_argument("--model", default="models/dpo", metavar="DIR", help="a model directory")
    write.add_argument(
        "--seed", type=_seed, metavar="N", default=argparse.SUPPRESS, help="random seed (default: a new one, printed)"
    )
    for slot in SLOTS:
        write.add_argument(f"--{slot}", metavar="TEXT", help=argparse.SUPPRESS)
    write.epilog = f"Slots: {', '.join(f'--{slot} TEXT' for slot in SLOTS)}."
    write.set_defaults(run=write_story)
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
    clean = commands.add_parser(
        "clean",
        help="remove the saved state of unfinished runs",
        description="List the saved states in .resume/, which killed runs resume from, and remove those that no process uses.",
    )
    clean.add_argument("--dry-run", action="store_true", help="list only")
    clean.set_defaults(run=clean_states)
    return top


def write_story(options: argparse.Namespace) -> None:
    """Print a specification and a model's story for it."""
    from picollm.core import config
    from picollm.inference.sampling import complete
    from picollm.inference.settings import Reader, Sample
    from picollm.model import runtime
    from picollm.model.directory import load_model_and_tokenizer
    from picollm.stories.compose import Parts, compose
    from picollm.stories.spec import prompt_text
    from picollm.text.settings import Truncation

    seed = getattr(options, "seed", random.SystemRandom().randrange(SEEDS))
    loaded = config.load(Sample, Reader, Truncation)
    model, tokenizer = load_model_and_tokenizer(options.model)
    given = {slot: getattr(options, slot) for slot in SLOTS if getattr(options, slot) is not None}
    spec = dataclasses.replace(compose(Parts.whole(), random.Random(seed)), **given)
    prompt = prompt_text(spec)
    device = runtime.set_up()
    ((completion,),) = complete(
        model.to(device), tokenizer, [prompt], [[seed]], loaded.sample, loaded.reader, loaded.truncate
    )
    print(f"{prompt}{completion['completion']}")
    print(f"\n(seed {seed}{'' if completion['ended'] else ', cut off at sample.max_new_tokens'})")


def print_verdict(options: argparse.Namespace) -> None:
    """Print whether each revision is better than the baseline."""
    from picollm.verdict import verdict

    print(verdict(options.revisions, options.against))


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


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) < SEEDS):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 0 to {SEEDS - 1}")
    return int(text)


def main() -> None:
    options = parser().parse_args()
    options.run(options)
