"""How the parameters of a network are named in a published checkpoint."""

from collections.abc import Callable
from dataclasses import dataclass

from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class Location:
    """Where one parameter of ours lies in a published checkpoint.

    Attributes:
        name: The published tensor.
        part: Which of `parts` equal pieces along the first dimension it is; timm's `attn.qkv` holds three.
        parts: Number of pieces.
        trailing_ones: Dimensions of size 1 that the published tensor has behind those of ours: a convolution of one
            pixel that is a linear layer here has two.

    Raises:
        ConfigurationError: `part` is not below `parts`.
    """

    name: str
    part: int = 0
    parts: int = 1
    trailing_ones: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.part < self.parts or self.trailing_ones < 0:
            raise ConfigurationError(f"A location needs 0 <= part < parts and no negative number, got {self}.")


Locate = Callable[[str], Location]
"""Name of a parameter or buffer of ours, e.g. `trunk.layers.0.mlp.up_proj.weight`, to its location."""


def as_named(name: str) -> Location:
    """The location of a network whose parameters have the published names already."""
    return Location(name)
