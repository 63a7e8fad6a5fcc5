"""How an action head learns: predict the noise that was put into a chunk (DiffusionVLA §5.3: the action loss)."""

from torch import Tensor
from torch.nn import functional

from dvla_ros.denoising.noise import TRAINING, Noise
from dvla_ros.models.ddim import DdimConfig, NoisePredictor, noised


def noise_prediction_errors(
    head: NoisePredictor,
    condition: Tensor,
    actions: Tensor,
    noise: Noise,
    *,
    config: DdimConfig | None = None,
) -> Tensor:
    """Squared errors of the predicted noise, one random noise level per row; the published loss is their mean.

    Args:
        head: What learns.
        condition: `[B, C]`, what the head's `encode_condition` gave; the head is run in its dtype.
        actions: Normalised actions `[B, H, D]`, about -1..1.
        noise: Of the rows of `actions`, of which draws 0 to 2 are taken.
        config: Noise levels; None for the published ones.

    Returns:
        float32 `[B, H, D]`.
    """
    config = config or DdimConfig()
    clean, device = actions.float(), actions.device
    timesteps = (noise.uniform(step=TRAINING) * config.train_steps).long()
    added = noise.normal(*clean.shape[1:], step=TRAINING, draw=1)
    signal = config.scheduler().alphas_cumprod.to(device)[timesteps].reshape(-1, 1, 1)
    predicted = head(noised(clean, added, signal).to(condition.dtype), timesteps, condition)
    return functional.mse_loss(predicted.float(), added, reduction="none")
