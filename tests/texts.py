"""Texts that are hard to tokenize, and `tokenizers` alone to compare with."""

from pathlib import Path

import tokenizers
from hypothesis import strategies as st

CORPUS = [
    "Once upon a time there was a lantern.  It didn't shine, and they'd never ask why.\n\nThe end.",
    "    indented   text\t\twith\r\n\r\nline ends \n and blanks     \n",
    "aaaa aaa aa a aaaaa baaa abab ababa bababab !!!! ---- ???? 12 123 1234 2024",
    "Der Bäcker aß die Brötchen; le garçon a mangé. Дом на краю 森の中の家 👻👻 🕯️ e\u0301e\u0301 nai\u0308ve",
    "\x00\x01\x1c\x1f \x7f\x85\xa0\u2003\u2003\u2028\u3000\u3000",
] * 3
TRICKY = [
    "",
    " ",
    "\r\n\r\n\t \x0b\x0c",
    "we'll WE'LL 's 'S ''s can't've",
    "e\u0301 \u0301 \u200d\ufe0f 👩‍👩‍👧‍👦 🏳️‍🌈",
    "<|endoftext|></s><s><unk>",
    "²³½Ⅷ\u0663 \u0661\u0662 _under_score_ ﷽ \ufeff\ufffe\U0010ffff",
    "\u0660a\u0300\u0661\u180e\u200b\u2060 \u1680x",
]
ANY_TEXT = st.text(st.characters(codec="utf-8"))
# Pieces of the training corpus and runs of blanks and letters reach the merges that random characters miss.
LIKELY_TEXT = st.lists(
    st.one_of(
        st.sampled_from(["a", "aa", "b", "ab", "é", "e\u0301", "👻", "'", "'s", "12", "!", "Once", "lantern", "森の"]),
        st.text(st.sampled_from(" \n\r\t\xa0\u2003\u3000\x85\x1c"), max_size=6),
        ANY_TEXT,
    )
).map("".join)


def reference_of(folder: Path) -> tokenizers.Tokenizer:
    """tokenizer.json read by `tokenizers` alone; special tokens in text are ordinary characters."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    return tokenizer


def ids_of(reference: tokenizers.Tokenizer, text: str) -> list[int]:
    return reference.encode(text, add_special_tokens=False).ids
