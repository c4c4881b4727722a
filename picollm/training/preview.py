"""A look at what a model writes while it trains."""

import torch

from picollm.model.transformer import Transformer
from picollm.text.tokenizer import Tokenizer

PREVIEW_TOKENS = 60


@torch.inference_mode()
def preview(model: Transformer, tokenizer: Tokenizer, prompt: str) -> str:
    """The greedy beginning of a completion, on one line. Without a cache: every token reads the whole text again."""
    room = model.config.max_position_embeddings - PREVIEW_TOKENS
    prompt_ids = [tokenizer.bos_id, *tokenizer.encode(prompt)[-max(room - 1, 1) :]]
    ids = torch.tensor([prompt_ids], device=next(model.parameters()).device)
    with torch.compiler.set_stance("force_eager"):  # compiling the blocks for this too would take longer than the look
        while ids.shape[1] < min(len(prompt_ids) + PREVIEW_TOKENS, model.config.max_position_embeddings):
            token = model(ids)[:, -1].argmax(dim=-1, keepdim=True)
            if token.item() == tokenizer.eos_id:
                break
            ids = torch.cat((ids, token), dim=1)
    return " ".join(tokenizer.decode(ids[0, len(prompt_ids) :].tolist()).split())
