"""A short greedy completion, printed during training."""

import torch

from picollm.model.transformer import Transformer
from picollm.text.prompts import prompt_ids
from picollm.text.tokenizer import Tokenizer

PREVIEW_TOKENS = 60


@torch.inference_mode()
def preview(model: Transformer, tokenizer: Tokenizer, prompt: str) -> str:
    """The first PREVIEW_TOKENS tokens of a greedy completion, on one line. Recomputes the whole text for every token: no cache."""
    context = model.config.max_position_embeddings
    count = min(PREVIEW_TOKENS, context - 1)
    ids = prompt_ids(tokenizer.encode(prompt), tokenizer.bos, context - count)
    start, device = len(ids), next(model.parameters()).device
    with torch.compiler.set_stance("force_eager"):  # compiling for these shapes would take longer than the preview
        while len(ids) < start + count:
            token = int(model(torch.tensor([ids], device=device))[0, -1].argmax())
            if token in tokenizer.stop_ids:
                break
            ids.append(token)
    return " ".join(tokenizer.decode(ids[start:]).split())
