"""What the `config.json` of a Prismatic checkpoint says, checked against what Discrete Diffusion VLA needs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.models.llama_config import llama_trunk
from dvla_ros.models.timm_towers import TowerSizes
from dvla_ros.models.trunk_config import TrunkConfig

TIMM_TOWERS = {
    "vit_large_patch14_reg4_dinov2.lvd142m": TowerSizes.dinov2_large(),
    "vit_so400m_patch14_siglip_224": TowerSizes.siglip_so400m(),
}
"""The towers by the names under which timm has them, in Prismatic's order."""

TOWER_SIZES_KEY = "timm_model_args"
"""A key of ours: what differs from the named towers, in timm's words, in checkpoints smaller than the published."""

_IMAGE_SIZE = 224
_ACTIVATIONS = {None: "gelu", "gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "quick_gelu": "quick_gelu"}
_FIXED: dict[str, object] = {
    "use_fused_vision_backbone": True,
    "arch_specifier": "no-align+fused-gelu-mlp",
    "n_action_bins": 256,
    "image_sizes": [_IMAGE_SIZE, _IMAGE_SIZE],
    "image_resize_strategy": "resize-naive",
    "timm_model_ids": list(TIMM_TOWERS),
}


@dataclass(frozen=True)
class PrismaticConfig:
    """Sizes and ids of a Prismatic network that denoises actions.

    Attributes:
        towers: The two vision towers, in the order of the channels.
        trunk: Of the language model.
        vocabulary: Rows of the embedding, 32064.
        action_end: One more than the highest action id: the rows without the padding, 32000.
        mask_token: Id of MASK, 32001.
        bins: Number of action ids, 256.

    Raises:
        ConfigurationError: Ids do not lie in the vocabulary, or the towers do not see the same patches.
    """

    towers: tuple[TowerSizes, TowerSizes]
    trunk: TrunkConfig
    vocabulary: int
    action_end: int
    mask_token: int
    bins: int = 256

    def __post_init__(self) -> None:
        if not 0 <= self.mask_token < self.vocabulary:
            raise ConfigurationError(
                f"mask_token_id {self.mask_token} is not among the {self.vocabulary} rows of the embedding."
            )
        if not self.bins <= self.action_end <= self.vocabulary or self.mask_token in self.action_ids:
            raise ConfigurationError(
                f"The action ids {self.action_ids} must lie in the vocabulary of {self.vocabulary} and must not hold "
                f"mask_token_id {self.mask_token}."
            )
        if self.towers[0].patches != self.towers[1].patches:
            raise ConfigurationError(f"Both towers must see the same patches, got {self.towers}.")

    @property
    def action_ids(self) -> range:
        """Ids of the action tokens, the lowest first: the lowest stands for the largest number."""
        return range(self.action_end - self.bins, self.action_end)

    @property
    def image_size(self) -> int:
        """Height and width of an image in pixels."""
        return self.towers[0].image_size

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PrismaticConfig":
        """Read the keys of a `config.json`.

        Raises:
            CheckpointError: Keys are missing or say something that cannot be run; all of them are listed.
        """
        _refuse_other_heads(values)
        if problems := _problems(values):
            raise CheckpointError(f"config.json does not fit Discrete Diffusion VLA: {'; '.join(problems)}.")
        text = values["text_config"]
        try:
            return cls(
                towers=_towers(values),
                trunk=llama_trunk(text),
                vocabulary=text["vocab_size"],
                action_end=text["vocab_size"] - values["pad_to_multiple_of"],
                mask_token=values["mask_token_id"],
                bins=values["n_action_bins"],
            )
        except ConfigurationError as error:
            raise CheckpointError(f"config.json: {error}") from error


def _refuse_other_heads(values: Mapping[str, Any]) -> None:
    absent = [key for key in ("use_discrete_diffusion", "use_mask_token") if values.get(key) is not True]
    if absent:
        raise CheckpointError(
            "This is an OpenVLA or OpenVLA-OFT checkpoint with another head: config.json lacks "
            f"{' and '.join(f'{key}: true' for key in absent)}. Its actions are read one after the other, in one "
            "parallel pass or by a regression head, and were not trained to be denoised; fine-tune it with Discrete "
            "Diffusion VLA's objective first."
        )


def _problems(values: Mapping[str, Any]) -> list[str]:
    wrong = {key: fixed for key, fixed in _FIXED.items() if values.get(key) != fixed}
    problems = [f"{key} is {values.get(key)!r}, needed is {fixed!r}" for key, fixed in wrong.items()]
    activations = values.get("timm_override_act_layers", [None, None])
    if (
        not isinstance(activations, list)
        or len(activations) != 2
        or any(a not in list(_ACTIVATIONS) for a in activations)
    ):
        problems.append(f"timm_override_act_layers is {activations!r}, needed are two of {list(_ACTIVATIONS)}")
    for key in ("mask_token_id", "pad_to_multiple_of"):
        if not _is_count(values.get(key)):
            problems.append(f"{key} is {values.get(key)!r}, needed is a number")
    return problems + _text_problems(values.get("text_config"))


def _text_problems(text: object) -> list[str]:
    if not isinstance(text, Mapping):
        return [f"text_config is {text!r}, needed is an object with the keys of a Llama"]
    problems = []
    if text.get("model_type", "llama") != "llama":
        problems.append(f"text_config.model_type is {text['model_type']!r}, known is 'llama'")
    if not _is_count(text.get("vocab_size")):
        problems.append(f"text_config.vocab_size is {text.get('vocab_size')!r}, needed is the number of rows")
    for key in ("attention_bias", "mlp_bias", "tie_word_embeddings", "rope_scaling"):
        if text.get(key):
            problems.append(f"text_config.{key} is {text[key]!r}; Llama-2 has none")
    return problems


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _towers(values: Mapping[str, Any]) -> tuple[TowerSizes, TowerSizes]:
    activations = values.get("timm_override_act_layers", [None, None])
    first, second = (
        replace(TIMM_TOWERS[name], activation=_ACTIVATIONS[activation])
        for name, activation in zip(values["timm_model_ids"], activations, strict=True)
    )
    if (changes := values.get(TOWER_SIZES_KEY)) is None:
        return first, second
    if not isinstance(changes, list) or len(changes) != 2:
        raise CheckpointError(f"config.json: {TOWER_SIZES_KEY} must be a list of two objects, got {changes!r}.")
    return _changed(first, changes[0]), _changed(second, changes[1])


def _changed(sizes: TowerSizes, changes: object) -> TowerSizes:
    fields = ("embed_dim", "depth", "num_heads", "mlp_ratio")
    if not isinstance(changes, Mapping) or set(changes) != set(fields):
        raise CheckpointError(f"config.json: {TOWER_SIZES_KEY} must hold exactly {list(fields)}, got {changes!r}.")
    if not all(_is_count(changes[key]) for key in fields[:3]) or not isinstance(changes["mlp_ratio"], (int, float)):
        raise CheckpointError(f"config.json: {TOWER_SIZES_KEY} must hold numbers, got {changes!r}.")
    width = changes["embed_dim"]
    mlp = int(width * changes["mlp_ratio"])
    return replace(sizes, width=width, depth=changes["depth"], heads=changes["num_heads"], mlp=mlp)
