"""What a training step must compute, and how much of a device's speed it used (MFU, arXiv 2204.02311, appendix B)."""

from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.published.layout import Setup
from dvla_ros.training.published.fine_tuning import FineTuning
from dvla_ros.training.published.memory import rehearsed_loss
from dvla_ros.training.published.preset import Preset
from dvla_ros.training.published.rehearsal import gradients_there, rehearse


def model_flop(setup: Setup, preset: Preset, dtype: torch.dtype = torch.bfloat16) -> float:
    """Floating-point operations of training on one observation; a multiplication and its addition are two.

    Counted forward and backward on the meta device, operation by operation. Layers that are run again to save memory
    are not counted twice, as is the convention. A frozen weight needs no gradient of its own, so that an adapter's step
    has about two thirds of a full one's.

    Args:
        setup: The checkpoint; its weights are not read.
        preset: How it is trained.
        dtype: Of frozen weights and of autocast; float32 for none.
    """
    once = replace(preset, checkpointing=False, micro_batch=1)
    run = FineTuning(setup, setup.network(torch.device("meta"), dtype), once)
    forward, _ = rehearsed_loss(run)
    counter = FlopCounterMode(display=False)
    with gradients_there(list(run.trained.values())), counter:
        attention = rehearse(forward, None if dtype == torch.float32 else dtype)
    return float(counter.get_total_flops() + attention)


@dataclass(frozen=True)
class Utilisation:
    """What was computed of what could have been.

    Attributes:
        flop: Of one observation, see `model_flop`.
        devices: How many take part.
        peak: FLOP/s of one of them, the maker's figure or a measured one.

    Raises:
        ConfigurationError: A number is not positive.
    """

    flop: float
    devices: int
    peak: float

    def __post_init__(self) -> None:
        if not (self.flop > 0 and self.devices > 0 and self.peak > 0):
            raise ConfigurationError(f"flop, devices and peak must be positive, got {self}.")

    def of(self, examples_per_second: float) -> float:
        """MFU, 0..1, at a speed over all devices."""
        return self.flop * examples_per_second / (self.devices * self.peak)
