"""Specifications composed from random parts, some of which are withheld from training."""

from dataclasses import dataclass, fields
from random import Random

from picollm.core.errors import DataError
from picollm.stories import parts as lists
from picollm.stories.spec import StorySpec, prompt_text, with_article


@dataclass(frozen=True)
class Parts:
    """The available parts: one tuple per list of `picollm.stories.parts`, in the same order."""

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
        """Split every list at random into (seen, withheld), with a rounded `share` of its parts withheld.

        The split of a list depends only on the seed and the list; a larger share withholds the same parts
        and more. Raises DataError if the seen or the withheld parts allow no specification.
        """
        error = DataError(
            f"share of withheld parts is {share}; expected a number between 0 and 1 that leaves "
            "parts of every kind (and two names) both seen and withheld"
        )
        if not 0 < share < 1:
            raise error
        seen, withheld = {}, {}
        for name, words in vars(cls.whole()).items():
            order = list(words)
            Random(f"{seed} withheld {name}").shuffle(order)
            selected = set(order[: round(share * len(order))])
            seen[name] = tuple(word for word in words if word not in selected)
            withheld[name] = tuple(word for word in words if word in selected)
        splits = cls(**seen), cls(**withheld)
        if not all(map(distinct, splits)):
            raise error
        return splits


def distinct(parts: Parts) -> int:
    """Number of distinct specifications that can be composed from the parts."""
    quality, thing, plural = map(len, (parts.title_qualities, parts.title_things, parts.title_plurals))
    titles = quality * thing + quality * plural + thing * plural
    settings = len(parts.setting_qualities) * len(parts.setting_places)
    objects = len(parts.object_qualities) * len(parts.object_things)
    rules = len(parts.rule_actions) * len(parts.rule_conditions)
    twists = len(parts.twist_subjects) * len(parts.twist_predicates)
    pairs_of_names = len(parts.names) * (len(parts.names) - 1)
    return titles * settings * pairs_of_names * objects * rules * twists


def compose(parts: Parts, rng: Random) -> StorySpec:
    """A random specification; protagonist and companion differ."""
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
    """`count` distinct specifications whose prompts are not in `taken`, to which they are added.

    A larger count begins with the same specifications. Raises DataError if the parts allow fewer than `count`
    besides those taken.
    """
    if count + len(taken) > distinct(parts):
        raise DataError(
            f"{count} specifications requested besides {len(taken)} already taken, "
            f"but the parts allow only {distinct(parts)}"
        )
    specs = []
    while len(specs) < count:
        spec = compose(parts, rng)
        prompt = prompt_text(spec)
        if prompt not in taken:
            taken.add(prompt)
            specs.append(spec)
    return specs


def _title(parts: Parts, rng: Random) -> str:
    quality, thing = rng.choice(parts.title_qualities), rng.choice(parts.title_things)
    plural = rng.choice(parts.title_plurals)
    return rng.choice((f"The {quality} {thing}", f"{quality} {plural}", f"The {thing} of {plural}"))
