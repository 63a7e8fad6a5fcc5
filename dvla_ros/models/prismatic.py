"""Prismatic, the network of OpenVLA, OpenVLA-OFT and Discrete Diffusion VLA: two vision towers and a Llama-2.

Source: Prismatic VLMs (arXiv 2402.07865), OpenVLA (arXiv 2406.09246).
"""

import torch
from torch import Tensor, nn

from dvla_ros.models.language_model import LanguageModel, locate_language_model
from dvla_ros.models.prismatic_config import PrismaticConfig
from dvla_ros.models.prismatic_projectors import PatchProjector
from dvla_ros.models.timm_towers import TimmTower, locate_tower
from dvla_ros.weights.names import Location


class FusedTowers(nn.Module):
    """Both towers look at the same image, each with its own normalisation of the colours."""

    def __init__(self, config: PrismaticConfig) -> None:
        super().__init__()
        self.featurizer = TimmTower(config.towers[0])
        self.fused_featurizer = TimmTower(config.towers[1])

    def forward(self, pixels: Tensor) -> Tensor:
        """`[B, 6, h, w]`, three channels for each tower, to features `[B, N, D1 + D2]`."""
        first, second = pixels.split(3, dim=1)
        return torch.cat([self.featurizer(first), self.fused_featurizer(second)], dim=-1)


class Prismatic(nn.Module):
    """The networks of the main weight files; a projector of the state is published in a file of its own."""

    def __init__(self, config: PrismaticConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_backbone = FusedTowers(config)
        self.projector = PatchProjector(sum(tower.width for tower in config.towers), config.trunk.width)
        self.language_model = LanguageModel(config.trunk, config.vocabulary)

    def patches(self, pixels: Tensor) -> Tensor:
        """Embeddings of the images of all cameras, one camera after the other.

        Args:
            pixels: `[B, C, 6, h, w]`, normalised for the first and for the second tower.

        Returns:
            `[B, C * N, W]`.
        """
        cameras = pixels.shape[1]
        features: Tensor = self.vision_backbone(pixels.flatten(0, 1))
        embedded: Tensor = self.projector(features)
        return embedded.unflatten(0, (-1, cameras)).flatten(1, 2)


def locate_prismatic(name: str) -> Location:
    """Where a parameter of `Prismatic` lies in a published checkpoint."""
    if name.startswith("language_model."):
        return locate_language_model(name.removeprefix("language_model."), "language_model.")
    if name.startswith("vision_backbone."):
        _, tower, rest = name.split(".", 2)
        return locate_tower(rest, f"vision_backbone.{tower}.")
    return Location(name)
