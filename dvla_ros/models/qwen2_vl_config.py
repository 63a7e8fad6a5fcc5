"""Sizes of a Qwen2-VL (arXiv 2409.12191) as its published `config.json` says them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dvla_ros.errors import CheckpointError
from dvla_ros.models.llama_config import llama_trunk
from dvla_ros.models.trunk_config import TrunkConfig

_REQUIRED = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "rms_norm_eps",
    "vocab_size",
)
_ROPE_THETA = 1e6  # what a missing key means for Qwen2-VL


@dataclass(frozen=True)
class Qwen2VisionConfig:
    """Sizes of the image tower; the defaults are those of every published Qwen2-VL.

    Attributes:
        hidden_size: Width of the language model, which the tower's last layer leads to.
        depth: Blocks.
        embed_dim: Width of the tower.
        num_heads: Attention heads.
        mlp_ratio: Hidden units of the feed-forward layers per unit of width.
        in_channels: Colours.
        patch_size: Pixels of a patch's side.
        temporal_patch_size: Pictures of a patch; a still image is repeated that often.
        spatial_merge_size: Patches per side that become one token of the language model.
    """

    hidden_size: int
    depth: int = 32
    embed_dim: int = 1280
    num_heads: int = 16
    mlp_ratio: int = 4
    in_channels: int = 3
    patch_size: int = 14
    temporal_patch_size: int = 2
    spatial_merge_size: int = 2

    @classmethod
    def from_json(cls, values: Any, width: int) -> "Qwen2VisionConfig":
        """Read `vision_config`; transformers leaves out of it what is as in the published models.

        Raises:
            CheckpointError: A size is not a positive whole number, or the width is not the language model's.
        """
        if not isinstance(values, Mapping):
            raise CheckpointError(f"config.json needs the object vision_config of Qwen2-VL, got {values!r}.")
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        sizes = cls(**{"hidden_size": width, **known})
        for field in fields(cls):
            if not _is_size(getattr(sizes, field.name)):
                wrong = getattr(sizes, field.name)
                raise CheckpointError(f"config.json: vision_config.{field.name} must be 1, 2, 3 ..., got {wrong!r}.")
        if sizes.hidden_size != width:
            raise CheckpointError(
                f"config.json: vision_config.hidden_size is {sizes.hidden_size}, but hidden_size is {width}; the image "
                "tower must lead to the language model's width."
            )
        if sizes.embed_dim % (4 * sizes.num_heads):
            raise CheckpointError(
                f"config.json: vision_config.embed_dim must be a multiple of 4 num_heads = {4 * sizes.num_heads}, "
                f"got {sizes.embed_dim}."
            )
        return sizes

    @property
    def patch_numbers(self) -> int:
        """Numbers of one patch as the tower takes it."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2


@dataclass(frozen=True)
class Qwen2VLConfig:
    """Sizes and ids of a Qwen2-VL.

    Attributes:
        trunk: Of the language model.
        vision: Of the image tower.
        vocabulary: Rows of the embedding.
        tied: Whether the head is the embedding itself.
        image_token: Id that stands where the features of an image go.
        ends: Ids that end an answer.
    """

    trunk: TrunkConfig
    vision: Qwen2VisionConfig
    vocabulary: int
    tied: bool
    image_token: int = 151655
    ends: tuple[int, ...] = (151645,)

    def __post_init__(self) -> None:
        if wrong := [token for token in (self.image_token, *self.ends) if not 0 <= token < self.vocabulary]:
            raise CheckpointError(f"config.json names the ids {wrong}, but vocab_size is {self.vocabulary}.")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Qwen2VLConfig":
        """Read the keys of a `config.json`, flat as they were published or with `text_config` as of transformers 5.

        Raises:
            CheckpointError: A key is missing, contradicts another, or asks for what the published model has not.
        """
        nested = values.get("text_config")
        text: Mapping[str, Any] = {**values, **nested} if isinstance(nested, Mapping) else values
        if missing := [key for key in _REQUIRED if key not in text]:
            raise CheckpointError(f"config.json is not that of a Qwen2-VL: it lacks {missing}.")
        if text.get("use_sliding_window"):
            raise CheckpointError("config.json: use_sliding_window must be false; no published Qwen2-VL slides.")
        trunk = llama_trunk({"rope_theta": _ROPE_THETA, **text}, qkv_bias=True, mrope_sections=_sections(text))
        return cls(
            trunk=trunk,
            vision=Qwen2VisionConfig.from_json(values.get("vision_config"), trunk.width),
            vocabulary=_size(text, "vocab_size"),
            tied=bool(values.get("tie_word_embeddings", text.get("tie_word_embeddings", False))),
            image_token=_token(values.get("image_token_id", cls.image_token), "image_token_id"),
            ends=tokens(text.get("eos_token_id", cls.ends), "eos_token_id"),
        )


def tokens(value: Any, key: str) -> tuple[int, ...]:
    """The ids of a key that holds one or a list of them.

    Raises:
        CheckpointError: It holds something else.
    """
    many = value if isinstance(value, (list, tuple)) else [value]
    if not many:
        raise CheckpointError(f"{key} names no token id.")
    return tuple(_token(one, key) for one in many)


def _sections(text: Mapping[str, Any]) -> tuple[int, int, int]:
    rope = text.get("rope_scaling") or text.get("rope_parameters") or {}
    sections = rope.get("mrope_section") if isinstance(rope, Mapping) else None
    if not isinstance(sections, (list, tuple)) or len(sections) != 3 or not all(map(_is_size, sections)):
        raise CheckpointError(
            f"config.json: rope_scaling.mrope_section must hold three sizes, for time, height and width, "
            f"got {sections!r}."
        )
    first, second, third = sections
    return first, second, third


def _size(values: Mapping[str, Any], key: str) -> int:
    if not _is_size(values[key]):
        raise CheckpointError(f"config.json: {key} must be 1, 2, 3 ..., got {values[key]!r}.")
    return int(values[key])


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _token(value: Any, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CheckpointError(f"{key} must be a token id, got {value!r}.")
    return value
