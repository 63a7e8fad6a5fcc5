"""Training of a few rows of an embedding: those of the action tokens, not the hundred thousand others."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class TrainedRows(nn.Module):
    """An embedding E of which some rows are E + change; the change is trained, E is not.

    Args:
        base: Of V rows.
        ids: Rows that are trained, different ones.

    Attributes:
        base_layer: See above.
        change: float32 `[len(ids), W]`, zero at first.
    """

    def __init__(self, base: nn.Embedding, ids: Sequence[int]) -> None:
        super().__init__()
        rows, width = base.weight.shape
        device = base.weight.device
        self.base_layer = base
        self.change = nn.Parameter(torch.zeros(len(ids), width, device=device))
        place = torch.full((rows,), len(ids), dtype=torch.int64)
        place[list(ids)] = torch.arange(len(ids))
        self.register_buffer("_place", place.to(device), persistent=False)
        self.ids = tuple(ids)

    @property
    def weight(self) -> Tensor:
        """That of the embedding, without the change."""
        return self.base_layer.weight

    @property
    def num_embeddings(self) -> int:
        """Rows, V."""
        return self.base_layer.num_embeddings

    @property
    def embedding_dim(self) -> int:
        """Width W."""
        return self.base_layer.embedding_dim

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids int64 `[...]` to `[..., W]`."""
        embedded: Tensor = self.base_layer(tokens)
        change = functional.pad(self.change, (0, 0, 0, 1))
        place = cast(Tensor, self._place)
        return embedded + change[place[tokens]].to(embedded.dtype)

    def whole(self, base: Tensor, change: Tensor) -> Tensor:
        """The embedding `[V, W]` with the change in it."""
        rows = base.clone()
        rows[list(self.ids)] = (rows[list(self.ids)].float() + change.float().to(base.device)).to(base.dtype)
        return rows
