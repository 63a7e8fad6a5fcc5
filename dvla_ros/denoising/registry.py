"""Decoders by name: a checkpoint or a command line chooses one and its settings in plain values.

A new decoder is one file (a config dataclass and a class with `start` and `step`) and one line here; see
docs/how_to/add_a_decoder.md.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from dvla_ros.denoising.autoregressive import AutoregressiveConfig, AutoregressiveDenoiser
from dvla_ros.denoising.blockwise import BlockwiseConfig, BlockwiseDenoiser
from dvla_ros.denoising.credit import CreditConfig, CreditDenoiser
from dvla_ros.denoising.flow import FlowConfig, FlowDenoiser
from dvla_ros.denoising.hierarchical import HierarchicalConfig, HierarchicalDenoiser
from dvla_ros.denoising.jacobi import JacobiConfig, JacobiDenoiser
from dvla_ros.denoising.joint import JointConfig, JointDenoiser
from dvla_ros.denoising.loop import Denoiser
from dvla_ros.denoising.masked import MaskedConfig, MaskedDenoiser
from dvla_ros.denoising.parallel import OneShotConfig, OneShotDenoiser
from dvla_ros.denoising.stopping import StoppingConfig, StoppingDenoiser
from dvla_ros.denoising.threshold import ThresholdConfig, ThresholdDenoiser
from dvla_ros.errors import ConfigurationError

DECODERS: dict[str, tuple[type[Any], type[Any]]] = {
    "autoregressive": (AutoregressiveConfig, AutoregressiveDenoiser),
    "blockwise": (BlockwiseConfig, BlockwiseDenoiser),
    "credit": (CreditConfig, CreditDenoiser),
    "flow": (FlowConfig, FlowDenoiser),
    "hierarchical": (HierarchicalConfig, HierarchicalDenoiser),
    "jacobi": (JacobiConfig, JacobiDenoiser),
    "joint": (JointConfig, JointDenoiser),
    "masked": (MaskedConfig, MaskedDenoiser),
    "one_shot": (OneShotConfig, OneShotDenoiser),
    "stopping": (StoppingConfig, StoppingDenoiser),
    "threshold": (ThresholdConfig, ThresholdDenoiser),
}
"""Name: config class, decoder class (made from one config)."""


def decoder_config(settings: Mapping[str, object]) -> Any:
    """The config object that `settings` describe.

    Args:
        settings: `decoder` names the decoder; every other key is a field of its config, with its default when absent.

    Raises:
        ConfigurationError: The decoder or a key is unknown, or a value is out of range.
    """
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    name = values.pop("decoder", None)
    if name not in DECODERS:
        raise ConfigurationError(f"Unknown decoder {name!r}; choose one of {', '.join(sorted(DECODERS))}.")
    config = DECODERS[str(name)][0]
    known = {field.name for field in fields(config)}
    if unknown := sorted(set(values) - known):
        raise ConfigurationError(f"The decoder '{name}' has no settings {unknown}; it has {', '.join(sorted(known))}.")
    for field in fields(config):
        # Any text would count as true.
        if isinstance(field.default, bool) and not isinstance(values.get(field.name, field.default), bool):
            raise ConfigurationError(f"The decoder's '{field.name}' is true or false, got {values[field.name]!r}.")
    try:
        return config(**values)
    except TypeError as error:
        raise ConfigurationError(f"The decoder '{name}' cannot use {values}: {error}.") from error


def make_decoder(settings: Mapping[str, object]) -> Denoiser[Any]:
    """The decoder that `settings` describe; errors as for `decoder_config`."""
    config = decoder_config(settings)
    decoder: Denoiser[Any] = DECODERS[str(settings["decoder"])][1](config)
    return decoder


def complete_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """`settings` with every default written out, as plain values; errors as for `decoder_config`."""
    config = decoder_config(settings)
    return {"decoder": settings["decoder"], **asdict(config)}


def override(settings: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """`settings` with some replaced; another `decoder` starts from that decoder's own defaults.

    Raises:
        ConfigurationError: As for `decoder_config`.
    """
    if changes.get("decoder", settings.get("decoder")) != settings.get("decoder"):
        return complete_settings(changes)
    return complete_settings({**settings, **changes})
