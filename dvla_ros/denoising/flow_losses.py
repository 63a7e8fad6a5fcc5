"""Losses of discrete flow matching that are more than a cross entropy; one number per position, unreduced.

A network on the embedding path is trained with the plain cross entropy of x_1 given x_t, over all positions. In both
losses below the weight is `MixturePath.hazard(time)`, clipped where wanted: it diverges at t = 1.
"""

import torch
from torch import Tensor

from dvla_ros.denoising.sampling import safe_log


def generalised_kl(logits: Tensor, noisy: Tensor, tokens: Tensor, weight: Tensor) -> Tensor:
    """-w [p(x_t) - delta_{x_t}(x_1) + (1 - delta_{x_t}(x_1)) log p(x_1)] of the mixture path (arXiv 2412.03487).

    Its minimum over p is the posterior of x_1 given x_t.

    Args:
        logits: float `[B, L, V]`, of p = softmax(logits), the network's answer to `noisy`.
        noisy: int64 `[B, L]`, x_t; MASK, the id V, has p = 0.
        tokens: int64 `[B, L]`, x_1.
        weight: float `[B]`, kappa' / (1 - kappa).

    Returns:
        float32 `[B, L]`, not negative.
    """
    log_p = torch.log_softmax(logits.float(), dim=-1)
    stays = (noisy == tokens).float()
    p_held = (log_p.exp() * _is(noisy, log_p.shape[-1])).sum(dim=-1)
    log_p_true = log_p.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return -weight.unsqueeze(1) * (p_held - stays + (1 - stays) * log_p_true)


def rate_loss(rates: Tensor, noisy: Tensor, tokens: Tensor, weight: Tensor) -> Tensor:
    """Sum_{x != x_t} u(x) - 1[x_t != x_1] w log u(x_1), the loss of DFM-VLA's rate head.

    It is that of Edit Flows (arXiv 2506.09018) with replacements alone. Its minimum is u(x) = w P(x_1 = x | x_t).

    Args:
        rates: float `[B, L, V]`, u(x | x_t), not negative; the rate of staying is ignored.
        noisy: int64 `[B, L]`, x_t, may be MASK.
        tokens: int64 `[B, L]`, x_1.
        weight: float `[B]`, kappa' / (1 - kappa).

    Returns:
        float32 `[B, L]`.
    """
    rates = rates.float()
    leaving = rates.masked_fill(_is(noisy, rates.shape[-1]), 0.0).sum(dim=-1)
    log_u_true = safe_log(rates.gather(-1, tokens.unsqueeze(-1)).squeeze(-1))
    return leaving - (noisy != tokens) * weight.unsqueeze(1) * log_u_true


def _is(tokens: Tensor, vocabulary: int) -> Tensor:
    """Bool `[B, L, V]`, True at each token; nowhere for MASK."""
    return torch.arange(vocabulary, device=tokens.device) == tokens.unsqueeze(-1)
