"""The published systems by name."""

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.dd_vla import DD_VLA
from dvla_ros.policies.dfm_vla import DFM_VLA
from dvla_ros.policies.diffusion_vla import DIFFUSION_VLA, DiffusionSystem
from dvla_ros.policies.llada_vla import LLADA_VLA
from dvla_ros.policies.token_system import TokenSystem
from dvla_ros.policies.ud_vla import UD_VLA

System = TokenSystem | DiffusionSystem

SYSTEMS: dict[str, System] = {system.name: system for system in (DD_VLA, UD_VLA, LLADA_VLA, DFM_VLA, DIFFUSION_VLA)}


def system_named(name: str) -> System:
    """The system of that name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in SYSTEMS:
        raise ConfigurationError(f"Unknown system {name!r}; choose one of {', '.join(SYSTEMS)}.")
    return SYSTEMS[name]
