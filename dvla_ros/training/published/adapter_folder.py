"""An adapter beside its base, as PEFT writes it, under the names of the published network."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dvla_ros.policies.published.layout import Setup
from dvla_ros.training.published.low_rank import ADAPTER, LowRankConfig
from dvla_ros.training.published.merged import merged_tensors
from dvla_ros.training.published.trained_rows import TrainedRows
from dvla_ros.weights.lora import CONFIG, PEFT_PREFIX
from dvla_ros.weights.names import Locate, Location
from dvla_ros.weights.writing import TensorToWrite, write_tensors

_FACTOR = re.compile(rf"(?P<layer>.+)\.lora_(?P<side>[AB])\.{ADAPTER}\.weight")
_ONE_FILE = 1 << 60


def write_adapter(
    folder: Path,
    setup: Setup,
    model: nn.Module,
    config: LowRankConfig,
    values: Mapping[str, Tensor] | None = None,
    beside: str = "",
) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors`, with what was trained beside the adapter.

    Where three layers of the network are one published tensor (timm's qkv), their adapters are one of three times the
    rank, block by block, and a pattern in the settings says so.

    Args:
        folder: Where to; made if it is not there.
        setup: The base.
        model: The networks of the main files, adapted.
        config: How.
        values: As of `merged_tensors`.
        beside: File for what was trained beside the adapter, a `.bin` of PyTorch; "" for the adapter's own file.
    """
    locate = setup.skeleton().locate
    pairs = _pairs(model, locate, values or {})
    tensors = [each for name, parts in pairs.items() for each in _factors(name, parts)]
    whole = _whole(model, locate, values)
    if beside:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save({each.name: each.make() for each in whole}, folder / beside)
        whole = []
    write_tensors(folder, [*tensors, *whole], stem="adapter_model", shard_bytes=_ONE_FILE)
    (folder / CONFIG).write_text(json.dumps(_settings(setup, config, pairs), indent=2, sort_keys=True) + "\n")


_Pair = tuple[Location, Tensor, Tensor]


def _pairs(model: nn.Module, locate: Locate, values: Mapping[str, Tensor]) -> dict[str, list[_Pair]]:
    """A and B of each part of each published module, by its name."""
    own = dict(model.named_parameters())
    pairs: dict[str, list[_Pair]] = {}
    for name in own:
        if (match := _FACTOR.fullmatch(name)) and match["side"] == "A":
            at = locate(f"{match['layer']}.weight")
            down, up = (
                values.get(key, own[key]).detach().cpu() for key in (name, name.replace(".lora_A.", ".lora_B."))
            )
            pairs.setdefault(at.name.removesuffix(".weight"), []).append((at, down, up))
    return pairs


def _factors(module: str, parts: list[_Pair]) -> list[TensorToWrite]:
    parts = sorted(parts, key=lambda part: part[0].part)
    downs, ups = [down for _, down, _ in parts], [up for _, _, up in parts]
    ones = (1,) * parts[0][0].trailing_ones
    down = downs[0] if len(parts) == 1 else torch.cat(downs)
    up = ups[0] if len(parts) == 1 else torch.block_diag(*ups)
    down, up = down.reshape(*down.shape, *ones), up.reshape(*up.shape, *ones)
    named = {f"{PEFT_PREFIX}{module}.lora_A.weight": down, f"{PEFT_PREFIX}{module}.lora_B.weight": up}
    return [TensorToWrite(name, tuple(t.shape), t.dtype, lambda t=t: t) for name, t in named.items()]  # type: ignore[misc]


def _whole(model: nn.Module, locate: Locate, values: Mapping[str, Tensor] | None) -> list[TensorToWrite]:
    """What was trained itself, whole."""
    merged = merged_tensors(model, values)
    names = [name for name, each in model.named_parameters() if each.requires_grad and not _FACTOR.fullmatch(name)]
    rows = {f"{name}.weight" for name, part in model.named_modules() if isinstance(part, TrainedRows)}
    plain = sorted({name for name in names if not name.endswith(".change")} | rows)
    return [_to_write(locate(name), merged[name]) for name in plain]


def _to_write(at: Location, make: Callable[[], Tensor]) -> TensorToWrite:
    tensor = make()
    shape = (*tensor.shape, *(1,) * at.trailing_ones)
    return TensorToWrite(PEFT_PREFIX + at.name, shape, tensor.dtype, lambda: make().cpu().reshape(shape))


def _settings(setup: Setup, config: LowRankConfig, pairs: Mapping[str, list[_Pair]]) -> dict[str, Any]:
    several = {re.escape(name): len(parts) for name, parts in pairs.items() if len(parts) > 1}
    return {
        "peft_type": "LORA",
        "base_model_name_or_path": setup.folder.name,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "rank_pattern": {name: config.rank * count for name, count in several.items()},
        "alpha_pattern": {name: config.alpha * count for name, count in several.items()},
        "bias": "none",
        "init_lora_weights": True,
        "target_modules": sorted({name.rpartition(".")[2] for name in pairs}),
    }
