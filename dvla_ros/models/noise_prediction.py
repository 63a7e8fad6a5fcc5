"""How an action head learns: predict the noise that was put into a chunk (DiffusionVLA §5.3: the action loss)."""

import torch
from torch import Tensor
from torch.nn import functional

from dvla_ros.models.ddim import DdimConfig, NoisePredictor, noised


def noise_prediction_loss(
    head: NoisePredictor,
    condition: Tensor,
    actions: Tensor,
    is_pad: Tensor,
    generator: torch.Generator,
    *,
    config: DdimConfig | None = None,
    count_padding: bool = True,
) -> Tensor:
    """Mean squared error of the predicted noise, one random noise level per row.

    Args:
        head: What learns.
        condition: `[B, C]`, what the head's `encode_condition` gave; the head is run in its dtype.
        actions: Normalised actions `[B, H, D]`, about -1..1.
        is_pad: bool `[B, H]`, rows beyond the end of the episode; they cost nothing.
        generator: Of the noise and its levels, on the device of `actions`.
        config: Noise levels; None for the published ones.
        count_padding: Whether padded numbers count, as errors of 0, in the mean; as released. False gives every valid
            number the same weight in every batch.

    Returns:
        Scalar, float32.
    """
    config = config or DdimConfig()
    clean, device = actions.float(), actions.device
    noise = torch.randn(clean.shape, generator=generator, device=device)
    timesteps = torch.randint(config.train_steps, clean.shape[:1], generator=generator, device=device)
    signal = config.scheduler().alphas_cumprod.to(device)[timesteps].reshape(-1, 1, 1)
    predicted = head(noised(clean, noise, signal).to(condition.dtype), timesteps, condition).float()
    valid = (~is_pad).unsqueeze(-1).expand_as(clean)
    errors = functional.mse_loss(predicted, noise, reduction="none") * valid
    return errors.sum() / (clean.numel() if count_padding else valid.sum().clamp_min(1))
