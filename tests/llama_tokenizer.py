"""A small tokenizer of Llama 2's kind: a sentencepiece BPE with byte fallback that puts a space in front of a text."""

import json
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, normalizers

SPECIAL = ["<unk>", "<s>", "</s>"]


def llama_tokenizer() -> tokenizers.Tokenizer:
    """<unk> <s> </s> are 0 to 2, the 256 bytes follow, then from 259 on ▁ a b ▁a ▁ab."""
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "a", "b", "▁a", "▁ab"]
    model = models.BPE(
        vocab={token: i for i, token in enumerate(tokens)},
        merges=[("▁", "a"), ("▁a", "b")],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def save_llama_tokenizer(folder: Path, **changes) -> Path:
    """Write tokenizer.json with other values at some of its keys, and config.json with the ids of bos and eos."""
    definition = json.loads(llama_tokenizer().to_str()) | changes
    (folder / "tokenizer.json").write_text(json.dumps(definition), encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 2}))
    return folder
