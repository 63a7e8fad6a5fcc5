"""Networks by name, for checkpoints."""

from typing import Any

from torch import nn

from dvla_ros.models.small_divla import SmallDivla, SmallDivlaConfig
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig

NetworkConfig = SmallVlaConfig | SmallDivlaConfig

NETWORKS: dict[str, tuple[type[Any], type[nn.Module]]] = {
    "small_vla": (SmallVlaConfig, SmallVla),
    "small_divla": (SmallDivlaConfig, SmallDivla),
}
"""Name: config class, network class (made from one config)."""


def network_name(config: NetworkConfig) -> str:
    """The name of the network that a config describes."""
    return next(name for name, (kind, _) in NETWORKS.items() if isinstance(config, kind))


def make_network(config: NetworkConfig) -> Any:
    """A network with fresh weights."""
    return NETWORKS[network_name(config)][1](config)
