"""LoRA on the head that is asked for some rows at a time; PEFT's own layers know a whole `Linear` only."""

from typing import Any, cast

import torch
from peft import LoraConfig
from peft.tuners.lora.layer import LoraLayer
from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.models.head import SlicedHead, TokenRows


class LowRankHead(nn.Module, LoraLayer):
    """`SlicedHead` W + s B A, of which only the asked rows of B are multiplied."""

    def __init__(
        self, base_layer: SlicedHead, adapter_name: str, config: LoraConfig, r: int, lora_alpha: int, **_: Any
    ) -> None:
        nn.Module.__init__(self)
        LoraLayer.__init__(self, base_layer)
        self._active_adapter = adapter_name
        adapter: Any = self  # PEFT's members, which a Module is not known to have
        adapter.update_layer(adapter_name, r, lora_alpha=lora_alpha, config=config)

    def _get_in_out_features(self, module: nn.Module) -> tuple[int, int]:
        rows, width = cast(SlicedHead, module).weight.shape
        return width, rows

    def forward(self, hidden: Tensor, rows: TokenRows) -> Tensor:
        """See `SlicedHead`."""
        adapter: Any = self
        logits: Tensor = adapter.base_layer(hidden, rows)
        (name,) = adapter.active_adapters
        down, up = adapter.lora_A[name], adapter.lora_B[name].weight
        inner = down(adapter.lora_dropout[name](hidden.to(down.weight.dtype)))
        parts = [functional.linear(inner, up[run]) for run in rows.runs]
        return logits + (torch.cat(parts, dim=-1) * adapter.scaling[name]).to(logits.dtype)
