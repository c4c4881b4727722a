"""python -m benchmarks.typed_values [MODEL...]: are values copied that a user might type and that no list of the project holds?

Every value below takes its slot in two specifications whose other values are seen in training; eight stories of each are drawn as a
reader draws them. Prints, per model directory (default models/sft and models/dpo) and slot, the share of stories in which the value
occurs, and which values fail.
"""

import dataclasses
import random
import sys

from picollm.core import config
from picollm.core.config import Seed
from picollm.datagen.settings import Stories
from picollm.evaluation.measures import adherence, repetition
from picollm.inference.sampling import complete, sample_seed
from picollm.inference.settings import Reader, Sample
from picollm.model import runtime
from picollm.model.directory import load_model_and_tokenizer
from picollm.stories.compose import Parts, compose
from picollm.stories.spec import prompt_text
from picollm.text.settings import Truncation

NAMES = (
    "Zbigniew Brzezinski",
    "Anne-Marie",
    "D'Artagnan",
    "José Núñez",
    "Nguyễn Thị Hoa",
    "R2D2",
    "Captain Haddock",
    "Xochitl",
)
VALUES = {
    "protagonist": NAMES,
    "companion": NAMES,
    "title": ("Twelve Angry Penguins", "The Schrödinger Protocol", "Apartment 4B", "Don't Look Back", "Rock-Paper-Scissors"),
    "setting": ("a disused nuclear bunker", "Llanfairpwll", "the 43rd floor of a skyscraper", "a Kraków café", "a spaceship"),
    "object": ("a smartphone", "a rubber duck", "a 1967 Volkswagen", "a three-legged stool", "a jar of pickled beetroot"),
    "rule": ("never press the red button", "never feed the gremlins after midnight", "never say his name 3 times", "never trust Wi-Fi"),
    "twist": ("the psychiatrist was a hologram", "everyone had already died", "it was all a video game", "the cat's name was Mr. Jones"),
}  # fmt: skip
SPECIFICATIONS, STORIES = 2, 8


def main() -> None:
    loaded = config.load(Seed, Stories, Sample, Reader, Truncation)
    parts, _ = Parts.split(loaded.seed, loaded.stories.withheld)
    assert not set(NAMES) & set(Parts.whole().names)
    rng = random.Random("typed values")
    cases = [(slot, value) for slot, values in VALUES.items() for value in values for _ in range(SPECIFICATIONS)]
    prompts = [prompt_text(dataclasses.replace(compose(parts, rng), **{slot: value})) for slot, value in cases]
    seeds = [[sample_seed(loaded.seed, f"{case} {story}") for story in range(STORIES)] for case in range(len(cases))]
    for folder in sys.argv[1:] or ("models/sft", "models/dpo"):
        model, tokenizer = load_model_and_tokenizer(folder)
        model.to(runtime.set_up())
        told = complete(model, tokenizer, prompts, seeds, loaded.sample, loaded.reader, loaded.truncate)
        found: dict[tuple[str, str], list[bool]] = {}
        for (slot, value), stories in zip(cases, told, strict=True):
            found.setdefault((slot, value), []).extend(
                adherence({slot: value}, story["completion"])[slot] for story in stories
            )
        texts = [story["completion"] for stories in told for story in stories]
        ended = [story["ended"] for stories in told for story in stories]
        print(
            f"{folder}: {len(texts)} stories, ended {sum(ended) / len(ended):.3f}, repetition {repetition(texts):.4f}"
        )
        for slot in VALUES:
            hits = [hit for (of, _), values in found.items() if of == slot for hit in values]
            print(f"  {slot:12} {sum(hits) / len(hits):.2f} of {len(hits)}")
        for (slot, value), hits in found.items():
            if sum(hits) < 0.85 * len(hits):
                print(f"  fails: {slot}: {value} ({sum(hits)} of {len(hits)})")


if __name__ == "__main__":
    main()
