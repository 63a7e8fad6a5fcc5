"""A SigLIP vision tower that gives the features before its last layer, as LLaVA's relatives use it.

The training code of that family cuts the last layer and the pooling head off, so published weights have one layer less
than the tower's configuration says. A file with the whole tower is understood too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn
from transformers import SiglipVisionConfig, SiglipVisionModel

from dvla_ros.errors import CheckpointError

_KEYS = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
    "image_size": "image_size",
    "patch_size": "patch_size",
}


@dataclass(frozen=True)
class SiglipSizes:
    """Sizes of a tower; the defaults are so400m-patch14-384's.

    Attributes:
        width: Size of a feature.
        layers: Layers of the whole tower; the features are the last but one's.
        heads: Attention heads.
        intermediate: Size inside the feed-forward part.
        image_size: Rows and columns of an image.
        patch_size: Of a patch; rows and columns beyond the last whole patch are not seen.

    Raises:
        CheckpointError: A size is no whole number of 1 or more, or sizes do not go together.
    """

    width: int = 1152
    layers: int = 27
    heads: int = 16
    intermediate: int = 4304
    image_size: int = 384
    patch_size: int = 14

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise CheckpointError(f"The vision tower's {_KEYS[field.name]} must be 1 or more, got {value!r}.")
        if self.width % self.heads or self.layers < 2 or self.patch_size > self.image_size:
            raise CheckpointError(
                f"The vision tower needs a hidden_size that is a multiple of num_attention_heads, 2 layers or more and "
                f"a patch_size of at most image_size, got {self}."
            )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "SiglipSizes":
        """From a tower's `config.json`, alone or with a text tower's; what is not said is so400m-patch14-384's.

        Raises:
            CheckpointError: A size is wrong, or it is no SigLIP tower.
        """
        values = values.get("vision_config") or values
        kind = values.get("model_type", "siglip_vision_model")
        if kind != "siglip_vision_model":
            raise CheckpointError(f"The vision tower is a {kind!r}; only 'siglip_vision_model' is known.")
        return cls(**{name: values[key] for name, key in _KEYS.items() if key in values})

    @property
    def side(self) -> int:
        """Patches in a row, and rows of patches."""
        return self.image_size // self.patch_size

    @property
    def patches(self) -> int:
        """Features of an image, P."""
        return self.side**2


class SiglipTower(nn.Module):
    """Features of the last layer but one.

    Args:
        sizes: Of the whole tower.
        whole: Whether the last layer and the pooling head are there too; they are never run.
    """

    def __init__(self, sizes: SiglipSizes, whole: bool = False) -> None:
        super().__init__()
        self.sizes = sizes
        layers = sizes.layers if whole else sizes.layers - 1
        values = {key: getattr(sizes, name) for name, key in _KEYS.items()}
        values["num_hidden_layers"] = layers
        self.vision_model = SiglipVisionModel(SiglipVisionConfig(**values, vision_use_head=whole))
        # Every position is used, in order: the embedding itself is what is added, and no buffer needs to be kept.
        self.vision_model.embeddings.register_buffer("position_ids", None, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Images `[B, 3, S, S]` in -1..1 to features `[B, P, W]`."""
        embeddings = self.vision_model.embeddings
        patches: Tensor = embeddings.patch_embedding(pixels.to(embeddings.patch_embedding.weight.dtype))
        hidden = patches.flatten(2).transpose(1, 2) + embeddings.position_embedding.weight
        for layer in self.vision_model.encoder.layers[: self.sizes.layers - 1]:
            hidden = layer(hidden, None)
        return hidden
