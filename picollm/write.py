"""A story from a trained model, for python -m picollm write."""

import dataclasses
import random
from collections.abc import Mapping

from picollm.core import config
from picollm.core.config import Seed
from picollm.core.errors import DataError, ParamsError
from picollm.datagen.settings import Stories
from picollm.inference.sampling import complete, sample_seed
from picollm.inference.settings import Reader, Sample
from picollm.model import runtime
from picollm.model.directory import load_model_and_tokenizer
from picollm.stories.compose import Parts, compose
from picollm.stories.dread import dread
from picollm.stories.spec import prompt_text
from picollm.text.settings import Truncation


def write(
    folder: str,
    prompt: str | None,
    given: Mapping[str, str],
    unseen: bool,
    seed: int | None,
    decoding: Mapping[str, float | None],
    count: int,
) -> str:
    """The prompt, the model's story and a line about it: the one of `count` stories that has the most dread.

    Without a prompt a specification is composed of the parts that the run's training rows used, or with `unseen` of those that were
    withheld from them, except for the `given` slots. `decoding` replaces values of `reader`, unless they are None. The first of
    several stories is the one that the seed gives alone.

    Raises PicollmError for a value out of range, an empty prompt, one that does not fit, and a model that cannot be read.
    """
    loaded = config.load(Seed, Stories, Sample, Reader, Truncation)
    reader = _decoding(loaded.reader, decoding)
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    if prompt is None:
        parts = Parts.split(loaded.seed, loaded.stories.withheld)[unseen]
        prompt = prompt_text(dataclasses.replace(compose(parts, random.Random(seed)), **given))
    elif not prompt.strip():
        raise DataError(f"--prompt: {prompt!r}; expected text")
    model, tokenizer = load_model_and_tokenizer(folder)
    model.to(runtime.set_up())
    seeds = [seed, *(sample_seed(seed, str(number)) for number in range(1, count))]
    (stories,) = complete(model, tokenizer, [prompt], [seeds], loaded.sample, reader, loaded.truncate)
    scores = [dread(story["completion"]) for story in stories]
    best = scores.index(max(scores))
    facts = [f"seed {seed}", f"dread {scores[best]:.1f}"]
    if count > 1:
        facts.append(f"the best of {count}, whose mean is {sum(scores) / count:.1f}")
    if not stories[best]["ended"]:
        facts.append("cut off at sample.max_new_tokens")
    return f"{prompt}{stories[best]['completion']}\n\n({', '.join(facts)})"


def _decoding(reader: Reader, changes: Mapping[str, float | None]) -> Reader:
    values = reader.model_dump() | {name: value for name, value in changes.items() if value is not None}
    try:
        return Reader(**values)
    except ValueError as error:
        first = error.errors()[0]
        name = first["loc"][0].replace("_", "-")
        raise ParamsError(f"--{name} {first['input']}: {first['msg'].removeprefix('Value error, ')}") from None
