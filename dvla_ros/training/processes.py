"""The processes of a run: one, or those that `torchrun` or `accelerate launch` start; whole weights or shards of them."""

from collections.abc import Mapping

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, FullyShardedDataParallelPlugin
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.layer import Layer

PRECISIONS = ("fp32", "bf16")


def make_accelerator(device: str, precision: str, accumulate: int, shard: bool) -> Accelerator:
    """What places networks and batches and averages gradients.

    Args:
        device: `cpu`, or `cuda` where there is one.
        precision: `fp32`, or `bf16`: matrices are multiplied in bfloat16, weights stay as they are.
        accumulate: Micro-batches of a step.
        shard: Whether every process holds a part of weights, gradients and moments (FSDP2) instead of all.

    Raises:
        ConfigurationError: There is no such device or precision.
    """
    if precision not in PRECISIONS:
        raise ConfigurationError(f"precision must be one of {PRECISIONS}, got {precision!r}.")
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise ConfigurationError(f"device must be cpu, or cuda where there is a GPU, got {device!r}.")
    plugin = None
    if shard:
        plugin = FullyShardedDataParallelPlugin(
            fsdp_version=2,
            auto_wrap_policy="transformer_based_wrap",
            transformer_cls_names_to_wrap=[Layer.__name__],
            cpu_ram_efficient_loading=False,
        )
    # One process may train several networks one after the other; accelerate remembers the first one's settings.
    AcceleratorState._reset_state()
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        gradient_accumulation_steps=accumulate,
        fsdp_plugin=plugin,
        # A frame without, say, visible points gives some parameters no gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


def open_methods(network: nn.Module) -> None:
    """Let the sharded layers of a network also be called by the methods that are not `forward`."""
    for module in network.modules():
        if isinstance(module, FSDPModule) and isinstance(module, Layer):
            register_fsdp_forward_method(module, "keys_values")


def mean_over_all(accelerator: Accelerator, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scalars, each averaged over the processes, in one message."""
    if accelerator.num_processes == 1:
        return dict(values)
    together = torch.stack([value.detach().float() for value in values.values()])
    mean = accelerator.reduce(together, "mean")
    return dict(zip(values, mean.unbind(), strict=True))
