"""The command line: python -m picollm write, clean. Imports what is heavy only where it is used, so that --help is quick."""

import argparse
import dataclasses
import random

from picollm.stories.spec import SLOTS

SEEDS = 2**31


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m picollm", description=__doc__.split(":")[0])
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    write = commands.add_parser(
        "write",
        help="a specification and a model's story for it",
        description="Compose a specification at random, with the slots given here fixed, and write the story.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    write.add_argument("--model", default="models/dpo", metavar="DIR", help="a model directory")
    write.add_argument(
        "--seed", type=_seed, metavar="N", default=argparse.SUPPRESS, help="a number; the same, the same story"
    )
    for slot in SLOTS:
        write.add_argument(f"--{slot}", metavar="TEXT", help=argparse.SUPPRESS)
    write.epilog = f"Slots: {', '.join('--' + slot for slot in SLOTS)}, each with its text."
    write.set_defaults(run=write_story)
    clean = commands.add_parser(
        "clean",
        help="list and remove the saved state of runs that did not end",
        description="List the state in .resume/ that killed runs left behind, and remove all that no process uses.",
    )
    clean.add_argument("--dry-run", action="store_true", help="list only")
    clean.set_defaults(run=clean_states)
    return top


def write_story(options: argparse.Namespace) -> None:
    """Print a specification and the story that a model writes for it."""
    from picollm.core import config
    from picollm.inference.sampling import complete
    from picollm.inference.settings import Sample
    from picollm.model import runtime
    from picollm.model.directory import load_model_and_tokenizer
    from picollm.stories.compose import Parts, compose
    from picollm.stories.spec import prompt_text
    from picollm.text.settings import Truncation

    seed = getattr(options, "seed", random.SystemRandom().randrange(SEEDS))
    loaded = config.load(Sample, Truncation)
    model, tokenizer = load_model_and_tokenizer(options.model)
    given = {slot: getattr(options, slot) for slot in SLOTS if getattr(options, slot) is not None}
    spec = dataclasses.replace(compose(Parts.whole(), random.Random(seed)), **given)
    prompt = prompt_text(spec)
    completion = complete(model.to(runtime.set_up()), tokenizer, [prompt], [seed], loaded.sample, loaded.truncate)[0]
    print(f"{prompt}{completion['completion']}")
    print(f"\n(seed {seed}{'' if completion['ended'] else ', cut at sample.max_new_tokens'})")


def clean_states(options: argparse.Namespace) -> None:
    """Print every saved state and what becomes of it."""
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
