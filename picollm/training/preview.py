"""A look at what a model writes while it trains."""

import torch

from picollm.model.transformer import Transformer
from picollm.text.prompts import prompt_ids
from picollm.text.tokenizer import Tokenizer

PREVIEW_TOKENS = 60


@torch.inference_mode()
def preview(model: Transformer, tokenizer: Tokenizer, prompt: str) -> str:
    """The greedy beginning of a completion, on one line. Without a cache: every token reads the whole text again."""
    context = model.config.max_position_embeddings
    count = min(PREVIEW_TOKENS, context - 1)
    ids = prompt_ids(tokenizer.encode(prompt), tokenizer.bos_id, context - count)
    start, device = len(ids), next(model.parameters()).device
    with torch.compiler.set_stance("force_eager"):  # compiling the blocks for this too would take longer than the look
        while len(ids) < start + count:
            token = int(model(torch.tensor([ids], device=device))[0, -1].argmax())
            if token == tokenizer.eos_id:
                break
            ids.append(token)
    return " ".join(tokenizer.decode(ids[start:]).split())
