"""The trunk that a published `config.json` of the Llama family describes."""

from collections.abc import Mapping
from typing import Any

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.models.trunk_config import TrunkConfig

_DEFAULTS: dict[str, Any] = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10_000.0,
}
"""What a missing key means, as in `transformers`' LlamaConfig: Prismatic's `text_config` names almost none."""


def llama_trunk(values: Mapping[str, Any], **others: Any) -> TrunkConfig:
    """Sizes of the trunk.

    Args:
        values: The keys of a Llama, Emu3, LLaDA-V or Qwen2 configuration.
        others: Fields of `TrunkConfig` that the family fixes and the file does not say, such as `qkv_bias`.

    Raises:
        CheckpointError: A size is not a number, or sizes do not go together; the message names the key.
    """
    rope = values.get("rope_parameters") or {}
    known = {key: _number(values, key, default) for key, default in _DEFAULTS.items()}
    known["rope_theta"] = float(rope.get("rope_theta", known["rope_theta"]))
    heads = int(known["num_attention_heads"])
    try:
        return TrunkConfig(
            width=int(known["hidden_size"]),
            layers=int(known["num_hidden_layers"]),
            heads=heads,
            kv_heads=int(_number(values, "num_key_value_heads", heads)),
            intermediate=int(known["intermediate_size"]),
            norm_eps=float(known["rms_norm_eps"]),
            rope_theta=known["rope_theta"],
            **others,
        )
    except ConfigurationError as error:
        raise CheckpointError(f"config.json describes no language model: {error}") from error


def _number(values: Mapping[str, Any], key: str, default: float) -> float:
    value = values.get(key, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CheckpointError(f"config.json: {key} must be a number, got {value!r}.")
    return value
