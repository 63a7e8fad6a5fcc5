"""Where the weights of a Prismatic checkpoint are: merged in its folder, or a base model and an adapter."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.weights.lora import CONFIG as ADAPTER_CONFIG
from dvla_ros.weights.lora import Merged, read_adapter
from dvla_ros.weights.tensor_files import TensorFiles
from dvla_ros.weights.tensor_source import TensorSource

_ADAPTER, _BASE, _CONFIG = "lora_adapter", "base", "config.json"
_WRITTEN_BY_TRAINING = {"use_discrete_diffusion": True, "use_mask_token": True, "mask_token_id": 32001}


@dataclass(frozen=True)
class PrismaticWeights:
    """The main weights.

    Attributes:
        folder: Of the merged weights, or of the base.
        adapter: Folder of the adapter that is merged into them while they are read; None for merged weights, beside
            which training leaves the adapter too.
    """

    folder: Path
    adapter: Path | None

    @classmethod
    def find(cls, checkpoint: Path, deployment: Deployment) -> "PrismaticWeights":
        """Those of a checkpoint folder.

        Raises:
            CheckpointError: There are none.
            ConfigurationError: There is only an adapter, and the deployment does not name the base.
        """
        if any(checkpoint.glob("model*.safetensors*")):
            return cls(checkpoint, None)
        adapter = next((f for f in (checkpoint / _ADAPTER, checkpoint) if (f / ADAPTER_CONFIG).is_file()), None)
        if adapter is None:
            return cls(checkpoint, None)  # opening it says what is there instead
        if _BASE not in deployment.files:
            raise ConfigurationError(
                f"{checkpoint} holds only the adapter {adapter.name}; name the folder of the model that it was trained "
                f"on in the deployment file: files: {{{_BASE}: PATH}}."
            )
        base = Path(deployment.files[_BASE]).expanduser()
        if not base.is_dir():
            raise ConfigurationError(f"files: {{{_BASE}: {base}}} is no folder; name that of the base model.")
        return cls(base, adapter)

    def source(self) -> TensorSource:
        """Names, shapes and types of all tensors; numbers are read when they are asked for.

        Raises:
            CheckpointError: Files are missing or broken, or adapter and base do not belong together.
        """
        files = TensorFiles.open(self.folder)
        return files if self.adapter is None else Merged(files, read_adapter(self.adapter))

    def beside(self, checkpoint: Path, name: str) -> Path:
        """The folder to read a small file from: the checkpoint's own, or the base's where only that has it."""
        return checkpoint if (checkpoint / name).exists() else self.folder


def completed_config(config: Mapping[str, Any], checkpoint: Path, deployment: Deployment) -> Mapping[str, Any]:
    """A configuration with what an adapter's base cannot say.

    The base is an OpenVLA without masks. Where the checkpoint has no `config.json` of its own, `system: dd_vla` in the
    deployment says that the adapter was trained to denoise.

    Raises:
        CheckpointError: The checkpoint has no `config.json`, and the deployment does not say so.
    """
    if (checkpoint / _CONFIG).exists() or config.get("use_discrete_diffusion") is True:
        return config
    if not deployment.system:
        raise CheckpointError(
            f"{checkpoint} has no {_CONFIG}, and that of its base model cannot say whether the adapter was trained to "
            "denoise: if it was, set system: dd_vla in the deployment file."
        )
    return {**config, **_WRITTEN_BY_TRAINING}
