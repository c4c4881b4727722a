"""Settings of the tokenizer and of what becomes of text that does not fit the model's context."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from picollm.core.config import Settings, Size

GPT2_VOCABULARY = 50257


class TokenizerSettings(Settings):
    """`vocabulary` is the size of a BPE trained on the corpus; gpt2 has its own."""

    tokenizer: Literal["bpe", "gpt2"]
    vocabulary: Annotated[int, Field(ge=257, le=200_000)]


class Truncation(Settings):
    truncate: bool


class NewTokens(Settings):
    """The tokens for which a prompt has to leave room in the model's context."""

    section: ClassVar[str] = "sample"
    max_new_tokens: Size
