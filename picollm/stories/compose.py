"""Specifications composed from parts, some of which are withheld from training."""

from dataclasses import dataclass, fields
from random import Random

from picollm.core.errors import DataError
from picollm.stories import parts as lists
from picollm.stories.spec import StorySpec, prompt_text, with_article


@dataclass(frozen=True)
class Parts:
    """The words that may be composed: one tuple for each list of `picollm.stories.parts`, in its order."""

    names: tuple[str, ...]
    setting_qualities: tuple[str, ...]
    setting_places: tuple[str, ...]
    object_qualities: tuple[str, ...]
    object_things: tuple[str, ...]
    rule_actions: tuple[str, ...]
    rule_conditions: tuple[str, ...]
    twist_subjects: tuple[str, ...]
    twist_predicates: tuple[str, ...]
    title_qualities: tuple[str, ...]
    title_things: tuple[str, ...]
    title_plurals: tuple[str, ...]

    @classmethod
    def whole(cls) -> "Parts":
        """All parts, seen and withheld."""
        return cls(**{field.name: getattr(lists, field.name.upper()) for field in fields(cls)})

    @classmethod
    def split(cls, seed: int, share: float) -> tuple["Parts", "Parts"]:
        """Divide every list: (seen, withheld), the second with `share` of each, rounded.

        A list's division depends on the seed and on the list alone, and a larger share withholds more
        of the same words. DataError when the share leaves a side without a specification.
        """
        refusal = DataError(
            f"share of withheld parts is {share}, expected a number between 0 and 1 that leaves "
            "parts of every kind (and two names) on both sides"
        )
        if not 0 < share < 1:
            raise refusal
        seen, withheld = {}, {}
        for name, words in vars(cls.whole()).items():
            order = list(words)
            Random(f"{seed} withheld {name}").shuffle(order)
            hidden = set(order[: round(share * len(order))])
            seen[name] = tuple(word for word in words if word not in hidden)
            withheld[name] = tuple(word for word in words if word in hidden)
        sides = cls(**seen), cls(**withheld)
        if not all(map(distinct, sides)):
            raise refusal
        return sides


def distinct(parts: Parts) -> int:
    """How many different specifications the parts allow."""
    quality, thing, plural = map(len, (parts.title_qualities, parts.title_things, parts.title_plurals))
    titles = quality * thing + quality * plural + thing * plural
    settings = len(parts.setting_qualities) * len(parts.setting_places)
    objects = len(parts.object_qualities) * len(parts.object_things)
    rules = len(parts.rule_actions) * len(parts.rule_conditions)
    twists = len(parts.twist_subjects) * len(parts.twist_predicates)
    pairs_of_names = len(parts.names) * (len(parts.names) - 1)
    return titles * settings * pairs_of_names * objects * rules * twists


def compose(parts: Parts, rng: Random) -> StorySpec:
    """One specification at random; protagonist and companion differ."""
    protagonist, companion = rng.sample(parts.names, 2)
    return StorySpec(
        title=_title(parts, rng),
        setting=with_article(f"{rng.choice(parts.setting_qualities)} {rng.choice(parts.setting_places)}"),
        protagonist=protagonist,
        companion=companion,
        object=with_article(f"{rng.choice(parts.object_qualities)} {rng.choice(parts.object_things)}"),
        rule=f"never {rng.choice(parts.rule_actions)} {rng.choice(parts.rule_conditions)}",
        twist=f"{rng.choice(parts.twist_subjects)} {rng.choice(parts.twist_predicates)}",
    )


def specifications(parts: Parts, rng: Random, count: int, taken: set[str]) -> list[StorySpec]:
    """`count` different specifications, none of whose prompts is in `taken`; theirs are added to it.

    They come one after the other from the generator, so a larger count begins with the same ones.
    DataError when the parts allow fewer than `count` besides the prompts already taken.
    """
    if count + len(taken) > distinct(parts):
        raise DataError(
            f"{count} specifications asked for besides {len(taken)} already taken, "
            f"but the parts allow only {distinct(parts)}"
        )
    made = []
    while len(made) < count:
        spec = compose(parts, rng)
        prompt = prompt_text(spec)
        if prompt not in taken:
            taken.add(prompt)
            made.append(spec)
    return made


def _title(parts: Parts, rng: Random) -> str:
    quality, thing = rng.choice(parts.title_qualities), rng.choice(parts.title_things)
    plural = rng.choice(parts.title_plurals)
    return rng.choice((f"The {quality} {thing}", f"{quality} {plural}", f"The {thing} of {plural}"))
