"""Damaged inputs for property tests: valid ones with a change, and arbitrary ones."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, currently_in_test_context, event, settings
from hypothesis import strategies as st

from picollm.core.errors import PicollmError

LONGEST_MESSAGE = 2000  # characters: a message is read by a person, whatever the input's size


def tries(count: int) -> settings:
    """The same `count` inputs on every run and machine, without a clock and without a file of earlier failures."""
    return settings(
        max_examples=count,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def outcome(action: Callable[[], Any], *named: str) -> Any | None:
    """The result of `action`, or None if it raised one of the project's own errors, whose message must contain each of `named`
    and not be too long. Any other exception fails the test."""
    try:
        result = action()
        if currently_in_test_context():
            event("accepted")
        return result
    except PicollmError as error:
        message = str(error)
        for name in named:
            assert name in message, f"{name!r} is not named: {message:.500}"
        assert len(message) <= LONGEST_MESSAGE, f"a message of {len(message)} characters: {message:.200}"
        return None


TEXTS = st.one_of(
    st.text(st.characters(), max_size=8),  # with halves of surrogate pairs and control characters
    st.sampled_from(
        ["", " ", "\0", "\ud800", "a\0b", "../x", "/etc/passwd", "auto", "null", "x" * 5000, "\u2028", "é"]
    ),
)
NUMBERS = st.one_of(
    st.integers(-3, 300),
    st.floats(),
    st.sampled_from(
        [0, -1, 1.5, 2**31, 2**32, 2**40, 2**63, 10**12, 10**15, 10**400, -(10**400), 1e-320, 1e308, -1e308, math.nan]
    ),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, content: Any, most: int = 2) -> Any:
    """A copy of a JSON value with one to `most` changes, each at a place found by a random walk from the root: a value
    replaced, a key or member dropped or moved, an unknown one inserted, or two values exchanged."""
    content = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, most))):
        parent, key = _place(draw, content)
        if parent is None:
            content = draw(ANY_JSON)
            continue
        kind = draw(st.sampled_from(["replace", "replace", "replace", "drop", "insert", "exchange", "nest"]))
        if kind == "replace":
            parent[key] = draw(ANY_JSON)
        elif kind == "drop":
            del parent[key]
        elif kind == "insert" and isinstance(parent, dict):
            parent[draw(TEXTS)] = draw(ANY_JSON)
        elif kind == "insert":
            parent.insert(key, draw(ANY_JSON))
        elif kind == "exchange":
            other = draw(st.sampled_from(list(parent) if isinstance(parent, dict) else range(len(parent))))
            parent[key], parent[other] = parent[other], parent[key]
        else:
            parent[key] = draw(st.sampled_from([[parent[key]], {"content": parent[key]}, [parent[key]] * 2]))
    return content


def _place(draw: st.DrawFn, content: Any) -> tuple[Any, Any]:
    """A container in `content` and a key of it, or (None, None) for the root."""
    parent, key = None, None
    here = content
    while isinstance(here, dict | list) and here:
        parent, key = here, draw(st.sampled_from(list(here) if isinstance(here, dict) else range(len(here))))
        here = parent[key]
        if draw(st.integers(0, 3)) == 0:
            break
    return parent, key


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with one damage: cut off, a bit turned, a stretch lost, doubled or overwritten, something inserted."""
    start = draw(st.integers(0, max(0, len(whole) - 1)))
    end = draw(st.integers(start, min(len(whole), start + 40)))
    before, middle, after = whole[:start], whole[start:end], whole[end:]
    kind = draw(st.sampled_from(["cut", "bit", "lost", "doubled", "overwritten", "inserted"]))
    if kind == "cut":
        return before
    if kind == "bit":
        return before + bytes([whole[start] ^ (1 << draw(st.integers(0, 7)))]) + whole[start + 1 :]
    if kind == "lost":
        return before + after
    if kind == "doubled":
        return before + middle + middle + after
    new = draw(
        st.binary(max_size=8) | st.sampled_from([b"\0", b'"', b"{", b"]", b"\n", b"\xff", b"\xef\xbb\xbf", b"-"])
    )
    return before + new + (after if kind == "overwritten" else middle + after)


def as_json(content: Any) -> bytes:
    """JSON as a careless program writes it: NaN and Infinity are written, halves of surrogate pairs are escaped."""
    return json.dumps(content).encode()


def with_a_key_twice(content: dict[str, Any], key: str) -> bytes:
    """JSON in which `key` stands a second time, at the end of the object."""
    return as_json(content)[:-1] + b", " + as_json(key) + b": " + as_json(content[key]) + b"}"
