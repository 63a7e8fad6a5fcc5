"""What DexVLA's training code writes into `config.json` beside Qwen2-VL's own keys: the action head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.models.qwen2_vl_config import Qwen2VLConfig
from dvla_ros.models.scale_dp import SIZES, ScaleDPConfig
from dvla_ros.models.unet1d import Unet1DConfig

HeadType = Literal["unet_diffusion_policy", "scale_dp_policy"]
"""`policy_head_type`: the U-Net of DiffusionVLA, the diffusion transformer of DexVLA."""

_HOW = "take the config.json that the training code wrote beside the weights, not that of the base model"


@dataclass(frozen=True)
class Qwen2VlaConfig:
    """Sizes of a Qwen2-VL with an action head.

    Attributes:
        backbone: Of Qwen2-VL.
        head: Of the action head.
        horizon: Rows of a chunk, H.
        using_film: Whether the model reasons, and the reasoning modulates what the head is told.
        noise_levels: Noise levels that the head was trained on.
        denoising_steps: Denoising steps of a chunk.
    """

    backbone: Qwen2VLConfig
    head: Unet1DConfig | ScaleDPConfig
    horizon: int
    using_film: bool = True
    noise_levels: int = 100
    denoising_steps: int = 10

    @property
    def head_type(self) -> HeadType:
        """As `policy_head_type` names it."""
        return "unet_diffusion_policy" if isinstance(self.head, Unet1DConfig) else "scale_dp_policy"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Qwen2VlaConfig":
        """Read the keys of a `config.json`.

        Raises:
            CheckpointError: A key is missing, or values contradict each other.
        """
        backbone = Qwen2VLConfig.from_json(values)
        kind, head = _policy_head(values)
        horizon = head.agreeing("prediction_horizon", "num_queries")
        try:
            sizes = (_unet if kind == "unet_diffusion_policy" else _scale_dp)(values, head, horizon)
            if isinstance(sizes, Unet1DConfig):
                sizes.check_horizon(horizon)
        except ConfigurationError as error:
            raise CheckpointError(f"config.json: policy_head_config: {error}") from error
        if sizes.condition_width != backbone.trunk.width:
            raise CheckpointError(
                f"config.json: the action head takes a condition of {sizes.condition_width} numbers, but the language "
                f"model's hidden_size is {backbone.trunk.width}; {_HOW}."
            )
        return cls(
            backbone=backbone,
            head=sizes,
            horizon=horizon,
            using_film=_yes_or_no(values, "using_film", True),
            noise_levels=head.number("num_train_timesteps", 100),
            denoising_steps=head.number("num_inference_timesteps", 10),
        )


@dataclass(frozen=True)
class _HeadValues:
    """The object `policy_head_config`."""

    values: Mapping[str, Any]

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number; without a default it must be there. 4.0 counts as one."""
        value = self.values.get(name, default)
        if value is None:
            raise CheckpointError(f"config.json: policy_head_config lacks {name}; {_HOW}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or value < 0:
            raise CheckpointError(f"config.json: policy_head_config.{name} must be 0, 1, 2 ..., got {value!r}.")
        return int(value)

    def agreeing(self, *names: str) -> int:
        """A whole number that goes by several names; those that are there must agree."""
        found = {name: self.number(name) for name in names if self.values.get(name) is not None}
        if not found:
            raise CheckpointError(f"config.json: policy_head_config lacks {names[0]}; {_HOW}.")
        if len(set(found.values())) > 1:
            raise CheckpointError(f"config.json: policy_head_config contradicts itself: {found}; {_HOW}.")
        return next(iter(found.values()))


def _policy_head(values: Mapping[str, Any]) -> tuple[HeadType, _HeadValues]:
    kind, head = values.get("policy_head_type"), values.get("policy_head_config")
    if kind is None or not isinstance(head, Mapping):
        lacking = [key for key in ("policy_head_type", "policy_head_config") if not values.get(key)]
        raise CheckpointError(f"config.json names no action head: it lacks {lacking}; {_HOW}.")
    if kind not in get_args(HeadType):
        raise CheckpointError(
            f"config.json: policy_head_type is {kind!r}; this version runs {' and '.join(get_args(HeadType))}."
        )
    if head.get("model_type", kind) != kind:
        raise CheckpointError(
            f"config.json: policy_head_type is {kind!r}, but policy_head_config is of a {head['model_type']!r}; {_HOW}."
        )
    return kind, _HeadValues(head)


def _unet(values: Mapping[str, Any], head: _HeadValues, horizon: int) -> Unet1DConfig:
    dims = head.values.get("down_dims", (256, 512, 1024))
    if not isinstance(dims, (list, tuple)) or not all(isinstance(one, int) for one in dims):
        raise CheckpointError(f"config.json: policy_head_config.down_dims must be a list of sizes, got {dims!r}.")
    return Unet1DConfig(
        action_dim=head.agreeing("input_dim", "action_dim"),
        state_dim=head.number("state_dim"),
        condition_width=head.agreeing("global_cond_dim", "cond_dim"),
        down_dims=tuple(dims),
        kernel_size=head.number("kernel_size", 5),
        groups=head.number("n_groups", 8),
        step_width=head.number("diffusion_step_embed_dim", 256),
        wave_precision="bfloat16",
    )


def _scale_dp(values: Mapping[str, Any], head: _HeadValues, horizon: int) -> ScaleDPConfig:
    depth, width, heads = _scale_dp_size(values.get("policy_head_size"), head)
    return ScaleDPConfig(
        action_dim=head.agreeing("input_dim", "output_dim", "action_dim"),
        state_dim=head.number("state_dim"),
        horizon=horizon,
        condition_width=head.agreeing("cond_dim", "global_cond_dim"),
        depth=depth,
        width=width,
        heads=heads,
        mlp_ratio=head.number("mlp_ratio", 4),
        norm_after_pool=_yes_or_no(head.values, "is_tinyvla", False),
        wave_precision="bfloat16",
    )


def _scale_dp_size(name: Any, head: _HeadValues) -> tuple[int, int, int]:
    """Depth, width and heads: by the numbers, or by the name of a published size; both must agree."""
    keys = ("depth", "n_emb", "num_heads")
    published = SIZES.get(name)
    if published is None:
        depth, width, heads = (head.number(key) for key in keys)
        return depth, width, heads
    numbers = {key: head.number(key, size) for key, size in zip(keys, published, strict=True)}
    if tuple(numbers.values()) != published:
        raise CheckpointError(
            f"config.json: policy_head_size is {name}, which is {dict(zip(keys, published, strict=True))}, but "
            f"policy_head_config says {numbers}; {_HOW}."
        )
    return published


def _yes_or_no(values: Mapping[str, Any], key: str, default: bool) -> bool:
    value = values.get(key, default)
    if not isinstance(value, bool):
        raise CheckpointError(f"config.json: {key} must be true or false, got {value!r}.")
    return value
