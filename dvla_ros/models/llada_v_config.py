"""The networks that a `config.json` of LLaDA-V's training code describes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dvla_ros.errors import CheckpointError
from dvla_ros.models.llada_v_tiles import ImageForm
from dvla_ros.models.llama_config import llama_trunk
from dvla_ros.models.siglip_tower import SiglipSizes
from dvla_ros.models.trunk_config import TrunkConfig

_NEEDED = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "rms_norm_eps",
    "vocab_size",
    "mm_vision_tower",
    "mm_hidden_size",
    "mm_projector_type",
)
_ORIGINAL_NAMES = ("d_model", "n_heads", "n_layers", "mlp_hidden_size")
_FIXED: dict[str, tuple[object, ...]] = {
    "mm_projector_type": ("mlp2x_gelu",),
    "mm_vision_select_layer": (-2,),
    "mm_vision_select_feature": ("patch",),
    "mm_resampler_type": (None, "identity"),
    "mm_use_im_start_end": (False,),
    "mm_use_im_patch_token": (False,),
    "hidden_act": ("silu",),
    "rope_scaling": (None,),
    "tie_word_embeddings": (False,),
}
"""What the published code can do, by key; a key that is absent means the first value."""


@dataclass(frozen=True)
class LladaVConfig:
    """Sizes of LLaDA-V.

    Attributes:
        trunk: The language model's.
        vocabulary: Rows of the embedding and of the head.
        vision: The tower's, all its layers counted.
        images: How an image becomes tiles, and their features a sequence.
    """

    trunk: TrunkConfig
    vocabulary: int
    vision: SiglipSizes
    images: ImageForm

    @classmethod
    def from_json(cls, values: Mapping[str, Any], vision: Mapping[str, Any] | None = None) -> "LladaVConfig":
        """Read and check.

        Args:
            values: The keys of `config.json`.
            vision: The keys of the tower's own `config.json`, where there is one; else a block `vision_config` of
                `values` counts, and without it the sizes are those of so400m-patch14-384.

        Raises:
            CheckpointError: Keys are missing, contradict each other, or say what the published code cannot do.
        """
        if original := [key for key in _ORIGINAL_NAMES if key in values]:
            raise CheckpointError(
                f"config.json has the original LLaDA's keys {original}; LLaDA-V's training code writes hidden_size, "
                "num_attention_heads, num_hidden_layers and intermediate_size, and other tensor names. Convert the "
                "checkpoint with LLaDA-V's rename_checkpoint.py."
            )
        problems = [f"{key} is missing" for key in _NEEDED if values.get(key) is None]
        if values.get("rope_theta") is None and "rope_theta" not in (values.get("rope_parameters") or {}):
            problems.append("rope_theta is missing")
        problems += [
            f"{key} is {values[key]!r}, only {' or '.join(map(repr, allowed))} is known"
            for key, allowed in _FIXED.items()
            if key in values and values[key] is not None and values[key] not in allowed
        ]
        tower = str(values.get("mm_vision_tower") or "")
        if tower and "siglip" not in tower.lower():
            problems.append(f"mm_vision_tower is {tower!r}, and only SigLIP towers are known")
        if problems:
            raise CheckpointError(
                f"config.json is none of LLaDA-V's: {'; '.join(problems)}. Take the config.json that LLaDA-V's "
                "training code wrote beside the weights."
            )
        sizes = SiglipSizes.from_json(vision if vision is not None else values.get("vision_config") or {})
        if sizes.width != values["mm_hidden_size"]:
            raise CheckpointError(
                f"config.json says mm_hidden_size {values['mm_hidden_size']}, the vision tower has a width of "
                f"{sizes.width}; name the right tower in the deployment file: files: {{vision_tower: FOLDER}}."
            )
        bias = bool(values.get("attention_bias", False))
        return cls(
            trunk=llama_trunk(values, qkv_bias=bias, out_bias=bias),
            vocabulary=_whole(values, "vocab_size"),
            vision=sizes,
            images=ImageForm.from_json(values, sizes.image_size),
        )


def _whole(values: Mapping[str, Any], key: str) -> int:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"config.json: {key} must be a whole number of 1 or more, got {value!r}.")
    return value
