"""Several linear layers of one input as one multiplication, without a second copy of their weights."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class PackedProjections:
    """Weights of several layers in one piece of memory; for inference only, gradients do not reach the layers.

    Attributes:
        weight: `[sum(sizes), W]`.
        bias: `[sum(sizes)]` or None.
        sizes: Outputs of each layer.
    """

    weight: Tensor
    bias: Tensor | None
    sizes: tuple[int, ...]

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """The answer of every layer for `x` `[..., W]`."""
        return functional.linear(x, self.weight, self.bias).split(self.sizes, dim=-1)


@torch.no_grad()
def pack_projections(*layers: nn.Linear) -> PackedProjections:
    """Move the weights of `layers` into one piece of memory, of which their parameters become views.

    The layers keep working, and changing a parameter in place changes both.
    """
    weight = torch.cat([layer.weight for layer in layers])
    bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
    sizes = tuple(layer.out_features for layer in layers)
    for i, part in enumerate(weight.split(sizes)):
        layers[i].weight.data = part
    for i, part in enumerate(() if bias is None else bias.split(sizes)):
        layers[i].bias.data = part
    return PackedProjections(weight, bias, sizes)
