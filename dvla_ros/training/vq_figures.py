"""How well the tokenizer reconstructs images, in numbers."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dvla_ros.training.vq_loss import SATURATED, saturation


@dataclass(frozen=True)
class VqFigures:
    """How good reconstructions of unseen episodes are.

    Attributes:
        images: How many were measured.
        l1: Mean absolute error in grey levels, 0..255.
        psnr: Peak signal-to-noise ratio, dB.
        coloured_l1: `l1` over saturated pixels only: the cubes.
        coloured_psnr: `psnr` over saturated pixels only.
        mean_image_psnr: `psnr` of the cameras' mean images: what is possible with no code at all.
        codes_used: Different codes met.
        perplexity: Exponential of the codes' entropy: how many are in real use.
    """

    images: int
    l1: float
    psnr: float
    coloured_l1: float
    coloured_psnr: float
    mean_image_psnr: float
    codes_used: int
    perplexity: float


def measure(seen: Tensor, made: Tensor, codes: Tensor, means: Tensor) -> VqFigures:
    """Compare uint8 images `[B, 3, h, w]` with their reconstructions, and count the codes."""
    error = made.float() - seen.float()
    coloured = (saturation(seen.float()) > SATURATED[1]).expand_as(error)
    shares = torch.bincount(codes.flatten()).float() / codes.numel()
    used = shares[shares > 0]
    return VqFigures(
        images=len(seen),
        l1=float(error.abs().mean()),
        psnr=_psnr(error),
        coloured_l1=float(error[coloured].abs().mean()),
        coloured_psnr=_psnr(error[coloured]),
        mean_image_psnr=_psnr(means - seen.float()),
        codes_used=len(used),
        perplexity=float(torch.exp(-(used * used.log()).sum())),
    )


def _psnr(error: Tensor) -> float:
    return float(20.0 * np.log10(255.0) - 10.0 * np.log10(float(error.square().mean())))
