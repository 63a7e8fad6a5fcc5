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


@dataclass(frozen=True)
class StepFlop:
    """Floating-point operations of one step, forward and backward; a multiplication and its addition are two.

    Layers that are run again to save memory are not counted twice, as is the convention. A frozen weight needs no
    gradient of its own, so that an adapter's step has about two thirds of a full one's.

    Attributes:
        of_example: Of one observation.
        batch_size: Observations of a step, over all devices.
    """

    of_example: float
    batch_size: int

    @property
    def total(self) -> float:
        """Of the step."""
        return self.of_example * self.batch_size

    def utilisation(self, step_s: float, devices: int, flop_per_s: float) -> float:
        """MFU, 0..1.

        Args:
            step_s: Seconds of a step, measured.
            devices: How many took part.
            flop_per_s: Of one of them, the maker's figure or a measured one; say which beside the result.

        Raises:
            ConfigurationError: A number is not positive.
        """
        if not (step_s > 0 and devices > 0 and flop_per_s > 0):
            raise ConfigurationError(
                f"step_s, devices and flop_per_s must be positive, got {step_s}, {devices} and {flop_per_s}."
            )
        return self.total / (step_s * devices * flop_per_s)


def step_flop(setup: Setup, preset: Preset, dtype: torch.dtype = torch.bfloat16) -> StepFlop:
    """Counted on the meta device, operation by operation.

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
    return StepFlop(counter.get_total_flops() + attention, preset.batch_size)
