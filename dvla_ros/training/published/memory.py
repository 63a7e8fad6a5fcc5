"""What fine-tuning will need of a device's memory, before anything is allocated, and what would fit."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dvla_ros.engine.memory_plan import GIGABYTE
from dvla_ros.errors import DeviceMemoryError
from dvla_ros.models.trunk import Trunk
from dvla_ros.policies.published.layout import Setup
from dvla_ros.training.batch import example_noise, losses_of
from dvla_ros.training.published.families import blank_batch
from dvla_ros.training.published.fine_tuning import FineTuning
from dvla_ros.training.published.low_rank import trunk_of
from dvla_ros.training.published.preset import Preset
from dvla_ros.training.published.rehearsal import LiveBytes, gradients_there, rehearse
from dvla_ros.training.tensors_within import mapped

LIBRARIES = 1_500_000_000
"""Bytes of a CUDA context, of the libraries' workspaces and of what an allocator loses between its blocks."""

_MOMENTS = 2
_FLOAT32 = 4


@dataclass(frozen=True)
class Devices:
    """How a network is spread.

    Attributes:
        count: Devices.
        sharded: Whether each holds its share of weights, gradients and optimiser state (FSDP2), and not all (DDP).
    """

    count: int = 1
    sharded: bool = False


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes on one device.

    Attributes:
        weights: Trained and not; with sharding also the layer that is gathered and the next one.
        gradients: Of what is trained, and the buckets in which DDP sends them.
        optimiser: AdamW's two moments in float32.
        average: Averaged weights.
        activations: The most that lives at a time of a micro-batch's step, kept for the gradient or not.
        libraries: See `LIBRARIES`.
    """

    weights: int
    gradients: int
    optimiser: int
    average: int
    activations: int
    libraries: int = LIBRARIES

    @property
    def needed(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimiser + self.average + self.activations + self.libraries

    def parts(self) -> str:
        """In words."""
        named = {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimiser": self.optimiser,
            "averaged weights": self.average,
            "activations": self.activations,
            "libraries": self.libraries,
        }
        return ", ".join(f"{name} {size / GIGABYTE:.2f}" for name, size in named.items() if size)


def plan_training(
    setup: Setup, preset: Preset, devices: Devices | None = None, dtype: torch.dtype = torch.bfloat16
) -> TrainingMemory:
    """Of one device, rehearsed on the meta device.

    Args:
        setup: The checkpoint; its weights are not read.
        preset: How it is trained.
        devices: None for a single one.
        dtype: Of frozen weights and of autocast; float32 for none.
    """
    return _plan(*_rehearsed(setup, preset, dtype), devices or Devices())


def _rehearsed(setup: Setup, preset: Preset, dtype: torch.dtype = torch.bfloat16) -> tuple[FineTuning, int]:
    run = FineTuning(setup, setup.network(torch.device("meta"), dtype), preset)
    return run, rehearsed_bytes(run, None if dtype == torch.float32 else dtype)


def rehearsed_bytes(run: FineTuning, dtype: torch.dtype | None) -> int:
    """The most that lives at a time of a micro-batch's step, beside weights and gradients.

    Args:
        run: On the meta device.
        dtype: Of autocast; None for none.
    """
    forward, inputs = rehearsed_loss(run)
    live = LiveBytes()
    live.before(*run.module.parameters(), *run.module.buffers())
    trained = list(run.trained.values())
    with gradients_there(trained):
        live.before(*(parameter.grad for parameter in trained if parameter.grad is not None))
        with live:
            rehearse(forward, dtype)
    return live.peak + inputs


def rehearsed_loss(run: FineTuning) -> tuple[Any, int]:
    """A function that gives the loss of a micro-batch on the meta device, and the bytes of that micro-batch."""
    count = run.preset.micro_batch
    batch = blank_batch(run.setup, run.preset, count)
    exercise = run.objective.exercise(batch, example_noise(0, range(count)))
    sizes: list[int] = []

    def moved(tensor: Tensor) -> Tensor:
        sizes.append(tensor.nbytes)
        return tensor.to("meta")

    there = mapped(exercise, moved)

    def forward() -> Tensor:
        return losses_of(run.objective, run.objective.sums(run.learner, there), there.counts).total

    return forward, sum(sizes)


def require_training_memory(
    setup: Setup, preset: Preset, device: str, free: int, devices: Devices | None = None
) -> TrainingMemory:
    """The plan, where each device has room for it.

    Args:
        setup: The checkpoint.
        preset: How it is trained.
        device: For the message.
        free: Bytes of each device.
        devices: None for a single one.

    Raises:
        DeviceMemoryError: It has not; the message says how much is missing, and what would fit.
    """
    devices = devices or Devices()
    plan = plan_training(setup, preset, devices)
    if plan.needed <= free:
        return plan
    raise DeviceMemoryError(
        f"{device} has {free / GIGABYTE:.2f} GB free and training with the preset {preset.name!r}, "
        f"{preset.micro_batch} observations at a time, needs {plan.needed / GIGABYTE:.2f} GB ({plan.parts()}): "
        f"{(plan.needed - free) / GIGABYTE:.2f} GB are missing. {_what_fits(setup, preset, free, devices, plan)}"
    )


def _plan(run: FineTuning, activations: int, devices: Devices) -> TrainingMemory:
    weights = sum(parameter.nbytes for parameter in run.module.parameters())
    trained = sum(parameter.numel() for parameter in run.trained.values())
    gradients = sum(parameter.nbytes for parameter in run.trained.values())
    weights += _FLOAT32 * run.setup.working_set().float32_parameters
    plan = TrainingMemory(
        weights=weights,
        gradients=gradients * (2 if devices.count > 1 and not devices.sharded else 1),
        optimiser=_MOMENTS * _FLOAT32 * trained,
        average=_FLOAT32 * trained if run.preset.ema else 0,
        activations=activations,
    )
    return _shared(plan, run.module, devices.count) if devices.sharded and devices.count > 1 else plan


def _shared(plan: TrainingMemory, module: nn.Module, count: int) -> TrainingMemory:
    """Each its share; two layers and what is in no layer are gathered at a time."""
    trunk: Trunk = trunk_of(module)
    layer = sum(parameter.nbytes for parameter in trunk.layers[0].parameters())
    rest = sum(parameter.nbytes for parameter in module.parameters()) - layer * len(trunk.layers)
    return replace(
        plan,
        weights=plan.weights // count + 2 * layer + rest,
        gradients=plan.gradients // count + layer,
        optimiser=plan.optimiser // count,
        average=plan.average // count,
    )


def _what_fits(setup: Setup, preset: Preset, free: int, devices: Devices, plan: TrainingMemory) -> str:
    """The smallest changes that would do."""
    from dvla_ros.training.published.presets import PRESETS

    found: list[str] = []

    def try_it(words: str, changed: Preset, on: Devices) -> bool:
        return noted(words, plan_training(setup, changed, on).needed)

    def noted(words: str, needed: int) -> bool:
        if needed <= free:
            found.append(f"{words} ({needed / GIGABYTE:.2f} GB)")
        return needed <= free

    cheaper = preset if preset.checkpointing else replace(preset, checkpointing=True)
    if not preset.checkpointing:
        try_it("checkpointing on", cheaper, devices)
    micro = preset.micro_batch // 2
    kept = plan.needed - plan.activations
    while (
        micro >= 1 and kept <= free and not try_it(f"micro_batch={micro}", replace(cheaper, micro_batch=micro), devices)
    ):
        micro //= 2
    for other in PRESETS.values():
        if other.system == preset.system and other.low_rank is not None and preset.low_rank is None:
            micro = min(other.micro_batch, preset.micro_batch)
            words = f"the preset {other.name!r}, micro_batch={micro}"
            try_it(words, replace(other, micro_batch=micro), devices)
    counts = [count for count in (2, 4, 8) if count > devices.count]
    rehearsed = _rehearsed(setup, cheaper)
    for count in counts:
        if noted(f"FSDP over {count} devices", _plan(*rehearsed, Devices(count, sharded=True)).needed):
            break
    return f"What fits: {', or '.join(found)}." if found else "Nothing known here makes it fit; take a larger device."
