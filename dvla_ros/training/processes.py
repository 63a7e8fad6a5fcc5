"""The processes of a run: one, or those that `torchrun` or `accelerate launch` start; with all weights or shards."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.layer import Layer

PRECISIONS = ("fp32", "bf16")


def number_of_processes() -> int:
    """As whoever starts them tells each."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def make_accelerator(device: str, precision: str, accumulate: int) -> Accelerator:
    """What places networks and batches and averages gradients.

    Args:
        device: `cpu`, or `cuda` where there is one.
        precision: `fp32`, or `bf16`: matrices are multiplied in bfloat16, weights stay as they are.
        accumulate: Micro-batches of a step.

    Raises:
        ConfigurationError: There is no such device or precision.
    """
    if precision not in PRECISIONS:
        raise ConfigurationError(f"precision must be one of {PRECISIONS}, got {precision!r}.")
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise ConfigurationError(f"device must be cpu, or cuda where there is a GPU, got {device!r}.")
    # One process may train several networks one after the other; accelerate remembers the first one's settings.
    AcceleratorState._reset_state()
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        gradient_accumulation_steps=accumulate,
        # A stage that teaches images alone gives the heads of the actions no gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def place(accelerator: Accelerator, lesson: nn.Module, shard: bool) -> nn.Module:
    """A network on the device of its process: whole, with gradients averaged (DDP), or as one of the shards (FSDP2).

    Layers of the trunk are gathered one by one when they are run. `accelerate` itself shards on GPUs only.

    Raises:
        ConfigurationError: There is nothing to share the shards with.
    """
    if not shard:
        placed: nn.Module = accelerator.prepare_model(lesson)
        return placed
    if accelerator.num_processes < 2:
        raise ConfigurationError("shard=True needs several processes; start them with torchrun --nproc-per-node N.")
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    kept = torch.bfloat16 if accelerator.mixed_precision == "bf16" else None
    policy = MixedPrecisionPolicy(param_dtype=kept)
    lesson.to(accelerator.device)
    for parameter in lesson.parameters():
        parameter.data = parameter.data.contiguous()  # convolutions may have their channels last
    for module in lesson.modules():
        if isinstance(module, Layer):
            fully_shard(module, mesh=mesh, mp_policy=policy)
            register_fsdp_forward_method(module, "keys_values")
    fully_shard(lesson, mesh=mesh, mp_policy=policy)
    return lesson


@contextmanager
def keeping_gradients(accelerator: Accelerator, lesson: nn.Module) -> Iterator[None]:
    """Gradients are added up in each process and not exchanged yet."""
    if isinstance(lesson, FSDPModule):
        lesson.set_requires_gradient_sync(False)
        yield
        lesson.set_requires_gradient_sync(True)
        return
    with accelerator.no_sync(lesson):
        yield


def mean_over_all(accelerator: Accelerator, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scalars, each averaged over the processes, in one message."""
    if accelerator.num_processes == 1:
        return dict(values)
    together = torch.stack([value.detach().float() for value in values.values()])
    mean = accelerator.reduce(together, "mean")
    return dict(zip(values, mean.unbind(), strict=True))
