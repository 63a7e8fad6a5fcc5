"""From a folder to the layout it is of."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from dvla_ros.errors import CheckpointError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.layout import Layout, Setup
from dvla_ros.weights.checkpoint_folder import json_in

CONFIG, BASE = "config.json", "base"
_ADAPTERS = ("adapter_config.json", "lora_adapter/adapter_config.json")


def is_published(folder: Path) -> bool:
    """Whether a folder is a published checkpoint, or means to be one: its `config.json` names an architecture."""
    if not (folder / CONFIG).is_file():
        return _holds_adapter(folder)
    try:
        config = json_in(folder, CONFIG)
    except CheckpointError:
        return False
    return "system" not in config and bool({"architectures", "model_type"} & set(config))


def read_setup(folder: Path, deployment: Deployment) -> Setup:
    """Read everything of a published checkpoint but its weights.

    Raises:
        CheckpointError: No layout is recognised, or a file is missing or does not fit.
        ConfigurationError: The deployment does not fit.
    """
    config = _config_of(folder, deployment)
    for layout in layouts():
        if layout.recognises(config):
            if deployment.system and deployment.system not in layout.systems:
                raise CheckpointError(
                    f"{folder} is a checkpoint of {' or '.join(layout.systems)}; the deployment says "
                    f"system: {deployment.system}."
                )
            return layout.read(folder, config, deployment)
    found = {key: config.get(key) for key in ("architectures", "model_type")}
    known = ", ".join(f"{layout.name} ({', '.join(layout.systems)})" for layout in layouts())
    raise CheckpointError(f"{folder / CONFIG} says {found}, which is none of the layouts known here: {known}.")


@cache
def layouts() -> tuple[Layout, ...]:
    """All layouts; imported late, because they bring `transformers` with them."""
    from dvla_ros.policies.published.emu3_layout import Emu3Layout
    from dvla_ros.policies.published.llada_v_layout import LladaVLayout
    from dvla_ros.policies.published.prismatic_layout import PrismaticLayout
    from dvla_ros.policies.published.qwen2_vl_layout import Qwen2VlLayout

    return PrismaticLayout(), Emu3Layout(), LladaVLayout(), Qwen2VlLayout()


def _config_of(folder: Path, deployment: Deployment) -> Mapping[str, Any]:
    """The configuration of a checkpoint; that of its base, for a folder that holds only an adapter."""
    if (folder / CONFIG).is_file():
        return json_in(folder, CONFIG)
    if not _holds_adapter(folder):
        raise CheckpointError(f"{folder} is no checkpoint: it has no {CONFIG}.")
    if BASE not in deployment.files:
        raise CheckpointError(
            f"{folder} holds only a LoRA adapter; name the folder of the model it was trained on in the deployment "
            f"file: files: {{{BASE}: PATH}}."
        )
    return json_in(Path(deployment.files[BASE]), CONFIG)


def _holds_adapter(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _ADAPTERS)
