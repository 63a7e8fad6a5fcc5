"""Augmentation of full-size pictures in training, as each system's authors publish it.

| system | published | here |
|---|---|---|
| `dd_vla` | OpenVLA-OFT's: 90 % of the area, brightness, contrast, saturation, hue | `OpenVlaAugmentation` |
| `diffusion_vla` | DexVLA's: 95 % of the sides, rotation, brightness, contrast, saturation | `DexVlaAugmentation` |
| `ud_vla`, `dfm_vla` | code that augments nothing | `unchanged` |
| `llada_vla` | nothing is said | `unchanged` |

The small networks have their own, `light_and_noise`.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.dexvla_augmentation import DexVlaAugmentation
from dvla_ros.training.openvla_augmentation import OpenVlaAugmentation


class ImageAugmentation(Protocol):
    """Changes the pictures of one example."""

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Other pictures of the same frame.

        Args:
            images: uint8 `[C, h, w, 3]` RGB.
            rng: Of this example; draws everything.

        Returns:
            uint8 `[C, h, w, 3]`, a new array or the same one.
        """
        ...


def unchanged(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """No augmentation."""
    return images


AUGMENTATIONS: Mapping[str, ImageAugmentation] = {
    "dd_vla": OpenVlaAugmentation(),
    "ud_vla": unchanged,
    "llada_vla": unchanged,
    "dfm_vla": unchanged,
    "diffusion_vla": DexVlaAugmentation(),
}


def published_augmentation(system: str) -> ImageAugmentation:
    """What a system's authors do with pictures in training.

    Raises:
        ConfigurationError: There is no such system.
    """
    if system not in AUGMENTATIONS:
        raise ConfigurationError(f"There is no system {system!r}; choose one of {', '.join(AUGMENTATIONS)}.")
    return AUGMENTATIONS[system]
