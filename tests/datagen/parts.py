"""A small vocabulary of specification parts, and the values that parts can make."""

from itertools import product

from picollm.stories.compose import Parts
from picollm.stories.spec import with_article


def few_parts():
    """Parts that allow 2 * 2 * 2 * 2 * 2 * 3 = 96 specifications: names * settings * objects * rules * twists * titles."""
    return Parts(
        names=("Ana", "Bo"),
        setting_qualities=("old", "new"),
        setting_places=("mill",),
        object_qualities=("red", "odd"),
        object_things=("jar",),
        rule_actions=("sing", "row"),
        rule_conditions=("at noon",),
        twist_subjects=("the cook", "the clerk"),
        twist_predicates=("had left",),
        title_qualities=("Salt",),
        title_things=("Ferry",),
        title_plurals=("Bells",),
    )


def possible_values(parts):
    """slot -> every value that the parts can make."""
    titles = {f"The {a} {b}" for a, b in product(parts.title_qualities, parts.title_things)}
    titles |= {f"{a} {b}" for a, b in product(parts.title_qualities, parts.title_plurals)}
    titles |= {f"The {a} of {b}" for a, b in product(parts.title_things, parts.title_plurals)}
    return {
        "title": titles,
        "setting": {with_article(f"{a} {b}") for a, b in product(parts.setting_qualities, parts.setting_places)},
        "protagonist": set(parts.names),
        "companion": set(parts.names),
        "object": {with_article(f"{a} {b}") for a, b in product(parts.object_qualities, parts.object_things)},
        "rule": {f"never {a} {b}" for a, b in product(parts.rule_actions, parts.rule_conditions)},
        "twist": {f"{a} {b}" for a, b in product(parts.twist_subjects, parts.twist_predicates)},
    }
