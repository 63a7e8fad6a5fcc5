"""What a network will need of a device's memory, before anything is loaded, and whether that is there."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from dvla_ros.engine.quantise import linears
from dvla_ros.engine.weight_form import BYTES, UNCHANGED
from dvla_ros.errors import DeviceMemoryError
from dvla_ros.models.trunk import Trunk

GIGABYTE = 1e9
GRAPH_MARGIN = 256 * 2**20
"""Bytes for the nodes of a few captured graphs and for the libraries' workspaces on the stream of the capture."""
SENTENCE = 48
"""Tokens of a long instruction with the words around it."""


@dataclass(frozen=True)
class WorkingSet:
    """What a network handles at a time.

    Attributes:
        positions: Of the longest usual sequence, canvas included.
        canvas: Of the canvas; 0 where there is none.
        vocabulary: Largest of the canvas.
        float32_parameters: Of networks beside the main ones that always run in float32.
    """

    positions: int
    canvas: int = 0
    vocabulary: int = 0
    float32_parameters: int = 0


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes on the device, estimated from above.

    Attributes:
        loading: Weights as they are read, before they are made smaller.
        weights: Weights when the policy runs.
        caches: Keys and values of one observation, as it was prefilled and in the memory that the steps work on.
        activations: The widest layer over the whole sequence, and the scores of the canvas.
        graphs: What captured steps keep; 0 without them.
    """

    loading: int
    weights: int
    caches: int
    activations: int
    graphs: int

    @property
    def needed(self) -> int:
        """The most that is needed at any time."""
        return max(self.loading, self.weights + self.caches + self.activations + self.graphs)

    def parts(self) -> str:
        """In words."""
        named = [("weights", self.weights), ("keys and values", self.caches), ("activations", self.activations)]
        named += [("captured steps", self.graphs)] if self.graphs else []
        said = ", ".join(f"{name} {size / GIGABYTE:.2f}" for name, size in named)
        return said + (f"; while loading {self.loading / GIGABYTE:.2f}" if self.loading > self.weights else "")


@dataclass(frozen=True)
class Setting:
    """What about a policy decides its memory.

    Attributes:
        dtype: Of weights and activations.
        weights: One of `weight_form.WEIGHTS`.
        cache: Name of the `CachePlan`.
        graphs: Whether steps are captured.
    """

    dtype: torch.dtype = torch.bfloat16
    weights: str = UNCHANGED
    cache: str = "exact"
    graphs: bool = True


def plan_memory(networks: nn.Module, work: WorkingSet, setting: Setting) -> MemoryPlan:
    """Of networks that may be on the meta device."""
    size = setting.dtype.itemsize
    loading = sum(p.numel() for p in networks.parameters()) * size + 4 * work.float32_parameters
    saved = 0
    if setting.weights != UNCHANGED:
        saved = sum(linear.weight.numel() for linear in linears(networks)) * (size - BYTES[setting.weights])
    trunks = [module for module in networks.modules() if isinstance(module, Trunk)]
    caches = sum(_cache_bytes(trunk, work, setting) for trunk in trunks)
    activations = max((_activation_bytes(trunk, work, size) for trunk in trunks), default=0)
    graphs = GRAPH_MARGIN + activations if setting.graphs else 0
    return MemoryPlan(loading, loading - saved, caches, activations, graphs)


def require_memory(networks: nn.Module, work: WorkingSet, setting: Setting, device: str, free: int) -> MemoryPlan:
    """The plan, where the device has room for it.

    Args:
        networks: May be on the meta device.
        work: What they handle at a time.
        setting: What decides the memory.
        device: For the message.
        free: Bytes.

    Raises:
        DeviceMemoryError: It has not; the message says how much is missing, and what would fit.
    """
    plan = plan_memory(networks, work, setting)
    if plan.needed <= free:
        return plan
    raise DeviceMemoryError(
        f"{device} has {free / GIGABYTE:.2f} GB free and the policy needs {plan.needed / GIGABYTE:.2f} GB "
        f"({plan.parts()}): {(plan.needed - free) / GIGABYTE:.2f} GB are missing. "
        f"{_what_fits(networks, work, setting, free)} End what else runs on the device (nvidia-smi lists it), or "
        "choose another with device=cuda:1, or device=cpu."
    )


def free_memory(device: torch.device) -> int:
    """Bytes of a CUDA device that this process can still use."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _what_fits(networks: nn.Module, work: WorkingSet, setting: Setting, free: int) -> str:
    """The changes of one setting that would do, and how long a sequence may be."""
    changes = {
        "dtype bfloat16": replace(setting, dtype=torch.bfloat16),
        "graphs off": replace(setting, graphs=False),
        "cache=exact": replace(setting, cache="exact"),
        "cache=exact and graphs off": replace(setting, cache="exact", graphs=False),
    }
    fitting = [
        f"{name} ({needed / GIGABYTE:.2f} GB)"
        for name, changed in changes.items()
        if changed != setting and (needed := plan_memory(networks, work, changed).needed) <= free
    ]
    if fitting:
        return f"What fits: {', or '.join(fitting)}."
    longest = _longest(networks, work, setting, free)
    if longest:
        return f"What fits: a sequence of {longest} positions instead of {work.positions}, with fewer cameras."
    return "No setting makes it fit."


def _longest(networks: nn.Module, work: WorkingSet, setting: Setting, free: int) -> int:
    """The longest sequence with this canvas that fits; 0 where not even the canvas does."""
    low, high = work.canvas, work.positions
    while low < high:
        middle = (low + high + 1) // 2
        fits = plan_memory(networks, replace(work, positions=middle), setting).needed <= free
        low, high = (middle, high) if fits else (low, middle - 1)
    return low if low > work.canvas else 0


def _cache_bytes(trunk: Trunk, work: WorkingSet, setting: Setting) -> int:
    config, size = trunk.config, setting.dtype.itemsize
    of_sequence = 2 * config.layers * config.kv_heads * config.head_size * work.positions * size
    remembered = 2 * config.layers * work.canvas * config.width * size if setting.cache == "dllm" else 0
    return 2 * of_sequence + remembered


def _activation_bytes(trunk: Trunk, work: WorkingSet, size: int) -> int:
    """Input, norm, queries, keys, values and attention; gate, up and their product; scores in float32, four of them."""
    config = trunk.config
    heads = (2 * config.heads + 2 * config.kv_heads) * config.head_size
    layer = work.positions * (3 * config.width + heads + 3 * config.intermediate) * size
    return layer + 4 * 4 * work.canvas * work.vocabulary
