"""Causal attention over rows of equal length, forward and backward."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Queries per block on a CPU: smaller blocks make small matrix products, larger ones compute more scores that the mask discards.
BLOCK_SIZE = 96
# Longest row computed in blocks: at this length the stored probabilities add 40 % to the activations that a transformer block
# saves for the backward pass, and their share grows with the length.
MAX_LENGTH = 512


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(D) + causal mask) v: q [B, H, T, D], k and v [B, H_kv, T, D] -> [B, H, T, D].

    Uses PyTorch's scaled_dot_product_attention, except in float32 on a CPU: for heads of 32 and 64 blocks of queries are faster there.
    """
    grouped = q.shape[1] != k.shape[1]
    is_float32 = q.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if q.device.type != "cpu" or not is_float32 or k.shape[2] > MAX_LENGTH:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
    if grouped:
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    scaled = (x.flatten(0, 1) for x in (q * q.shape[-1] ** -0.5, k, v))
    return _BlockedAttention.apply(*scaled).unflatten(0, q.shape[:2])


class _BlockedAttention(torch.autograd.Function):
    """Blocks of queries, each attending to the keys up to its end: q, k, v [R, T, D] -> [R, T, D], q already scaled.

    The backward pass is that of FlashAttention (Dao et al. 2022, algorithm 4), except that the probabilities are stored instead of
    recomputed.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mask = torch.ones(BLOCK_SIZE, BLOCK_SIZE, dtype=torch.bool).triu(1)
        out, stored = torch.empty_like(q), []
        needs_gradient = any(ctx.needs_input_grad)
        for start in range(0, q.shape[1], BLOCK_SIZE):
            queries = q[:, start : start + BLOCK_SIZE]
            count = queries.shape[1]
            end = start + count
            scores = queries @ k[:, :end].transpose(1, 2)
            scores[:, :, start:].masked_fill_(mask[:count, :count], -torch.inf)
            probabilities = scores.softmax(dim=-1)
            out[:, start:end] = probabilities @ v[:, :end]
            if needs_gradient:
                stored.append(probabilities)
        ctx.save_for_backward(q, k, v, out, *stored)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, out, *stored = ctx.saved_tensors
        d_q, d_k, d_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        delta = (d_out * out).sum(dim=-1, keepdim=True)  # sum over keys of probability times its gradient
        for probabilities in stored:
            end = probabilities.shape[2]
            block = slice(end - probabilities.shape[1], end)
            d_scores = (d_out[:, block] @ v[:, :end].transpose(1, 2)).sub_(delta[:, block]).mul_(probabilities)
            d_q[:, block] = d_scores @ k[:, :end]
            d_k[:, :end] += d_scores.transpose(1, 2) @ q[:, block]
            d_v[:, :end] += probabilities.transpose(1, 2) @ d_out[:, block]
        return d_q, d_k, d_v
