"""LLaDA-V: a SigLIP-2 tower and a projector put image features among the words of LLaDA (arXiv 2505.16933).

The network of LLaDA-VLA (arXiv 2509.06932); whoever runs it says who sees whom.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from dvla_ros.models.language_model import LanguageModel, locate_language_model
from dvla_ros.models.llada_v_config import LladaVConfig
from dvla_ros.models.siglip_tower import SiglipTower
from dvla_ros.weights.names import Location


@dataclass(frozen=True)
class StoredParts:
    """What of LLaDA-V's parts a file holds; the training code leaves out what it does not run.

    Attributes:
        whole_tower: The tower's last layer and its pooling head, which are never run.
        newline: The feature that ends a row of an image; there also where the images' form has no use for it.
    """

    whole_tower: bool = False
    newline: bool = True


class LladaV(nn.Module):
    """Images to features in the language model's width, and the language model.

    Args:
        config: Sizes.
        parts: Which parts that need not be there are.
    """

    def __init__(self, config: LladaVConfig, parts: StoredParts | None = None) -> None:
        super().__init__()
        parts = StoredParts() if parts is None else parts
        width = config.trunk.width
        self.config = config
        self.vision_tower = SiglipTower(config.vision, parts.whole_tower)
        self.mm_projector = nn.Sequential(nn.Linear(config.vision.width, width), nn.GELU(), nn.Linear(width, width))
        self.image_newline = nn.Parameter(torch.randn(width) / width**0.5) if parts.newline else None
        self.language_model = LanguageModel(config.trunk, config.vocabulary)

    def image_features(self, tiles: Tensor, width: int, height: int) -> Tensor:
        """One image as the language model sees it, `[L, W]`.

        Args:
            tiles: `[T, 3, S, S]` in -1..1, see `ImageForm`.
            width: Of the image before it was cut into tiles, in pixels.
            height: Likewise.
        """
        (features,) = self.vision_features([tiles])
        return self.joined_features(features, width, height)

    def vision_features(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Features `[T, P, W]` of every image's tiles `[T, 3, S, S]`, all tiles in one pass."""
        features = cast(Tensor, self.mm_projector(self.vision_tower(torch.cat(list(images)))))
        return list(features.split([len(tiles) for tiles in images]))

    def joined_features(self, features: Tensor, width: int, height: int) -> Tensor:
        """`image_features` from the features `[T, P, W]` of its tiles."""
        tile = self.config.vision.image_size
        return self.config.images.join(features, self.image_newline, width, height, tile)


def locate_llada_v(name: str) -> Location:
    """Where a parameter of `LladaV` lies in the published checkpoint."""
    if name.startswith("language_model."):
        return locate_language_model(name.removeprefix("language_model."))
    if name.startswith("vision_tower."):
        return Location(f"model.vision_tower.{name}")
    return Location(f"model.{name}")
