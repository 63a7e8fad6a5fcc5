"""What brings patches and states into the embedding space of Prismatic's language model."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional


class PatchProjector(nn.Module):
    """Features of both towers side by side `[..., F]` to embeddings `[..., W]`; three layers, 4 F and W inside."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, 4 * features)
        self.fc2 = nn.Linear(4 * features, width)
        self.fc3 = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """With GELU between the layers."""
        inner = functional.gelu(self.fc2(functional.gelu(self.fc1(features))))
        return cast(Tensor, self.fc3(inner))


class ProprioProjector(nn.Module):
    """A normalised state `[..., S]` to one embedding `[..., W]`."""

    def __init__(self, state_dim: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(state_dim, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, state: Tensor) -> Tensor:
        """With GELU between the layers."""
        return cast(Tensor, self.fc2(functional.gelu(self.fc1(state))))
