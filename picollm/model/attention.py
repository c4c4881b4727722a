"""Causal attention of rows of one length, forward and backward."""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Queries that are taken together on a CPU: fewer make small matrix products, more compute what causality hides.
BLOCK = 96
# Rows up to this length: at it the probabilities add two fifths to what a block keeps for the backward pass, and their share grows
# with the length.
LONGEST = 512


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(D)) v over each position and those before it, for the last S of T positions: q [B, H, S, D],
    k and v [B, H_kv, T, D] -> [B, H, S, D].

    By PyTorch's own kernel, or in float32 on a CPU, where that one is slower at heads of 32 and 64, by products of blocks.
    """
    grouped = q.shape[1] != k.shape[1]
    is_float32 = q.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    earlier = k.shape[2] - q.shape[2]
    if q.device.type != "cpu" or not is_float32 or k.shape[2] > LONGEST:
        whole = F.pad(q, (0, 0, earlier, 0)) if earlier else q  # is_causal counts from the first key
        return F.scaled_dot_product_attention(whole, k, v, is_causal=True, enable_gqa=grouped)[:, :, earlier:]
    if grouped:
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    scaled = (x.flatten(0, 1) for x in (q * q.shape[-1] ** -0.5, k, v))
    return _InBlocks.apply(*scaled).unflatten(0, q.shape[:2])


class _InBlocks(torch.autograd.Function):
    """Queries in blocks, each against the keys up to its end; the backward pass is that of FlashAttention (Dao et al. 2022,
    algorithm 4) but for the probabilities, which are kept instead of computed again: q [R, S, D], k, v [R, T, D] -> [R, S, D]."""

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        later = torch.ones(BLOCK, BLOCK, dtype=torch.bool).triu(1)
        out, kept = torch.empty_like(q), []
        needed = any(ctx.needs_input_grad)
        earlier = k.shape[1] - q.shape[1]
        for start in range(0, q.shape[1], BLOCK):
            queries = q[:, start : start + BLOCK]
            count = queries.shape[1]
            end = earlier + start + count
            scores = queries @ k[:, :end].transpose(1, 2)
            scores[:, :, end - count :].masked_fill_(later[:count, :count], -torch.inf)
            probabilities = scores.softmax(dim=-1)
            out[:, start : start + count] = probabilities @ v[:, :end]
            if needed:
                kept.append(probabilities)
        ctx.save_for_backward(q, k, v, out, *kept)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, out, *kept = ctx.saved_tensors
        of_q, of_k, of_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        mean = (gradient * out).sum(dim=-1, keepdim=True)  # of the probabilities' gradients, under the probabilities
        for start, probabilities in zip(range(0, q.shape[1], BLOCK), kept, strict=True):
            block, end = slice(start, start + probabilities.shape[1]), probabilities.shape[2]
            queries, upstream = q[:, block], gradient[:, block]
            slope = (upstream @ v[:, :end].transpose(1, 2)).sub_(mean[:, block]).mul_(probabilities)
            of_q[:, block] = slope @ k[:, :end]
            of_k[:, :end] += slope.transpose(1, 2) @ queries
            of_v[:, :end] += probabilities.transpose(1, 2) @ upstream
        return of_q, of_k, of_v
