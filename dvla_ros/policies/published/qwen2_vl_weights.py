"""Where the weights of a DiffusionVLA or DexVLA checkpoint are: all in one folder, or an adapter over a base."""

from dataclasses import dataclass
from pathlib import Path

from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.weights.lora import Merged, read_adapter
from dvla_ros.weights.tensor_files import TensorFiles
from dvla_ros.weights.tensor_source import HeldTensors, Overlaid, TensorSource
from dvla_ros.weights.torch_parts import read_torch_part

ADAPTER, BASE, TRAINED_PARTS = "adapter_config.json", "base", "non_lora_trainables.bin"


@dataclass(frozen=True)
class Qwen2VlWeights:
    """The folders of a checkpoint.

    Attributes:
        folder: What was pointed at: a full fine-tune, or an adapter with `non_lora_trainables.bin`.
        base: The model that the adapter was trained on; None for a full fine-tune.
    """

    folder: Path
    base: Path | None

    @classmethod
    def find(cls, folder: Path, deployment: Deployment) -> "Qwen2VlWeights":
        """See which of the two a folder is.

        Raises:
            ConfigurationError: It is an adapter, and the deployment does not name its base or names a wrong one.
        """
        if not (folder / ADAPTER).is_file():
            return cls(folder, None)
        if BASE not in deployment.files:
            raise ConfigurationError(
                f"{folder} is a LoRA adapter; name the folder of the model that it was trained on in the deployment "
                f"file: files: {{{BASE}: PATH}}."
            )
        base = deployment.file(BASE)
        if (base / ADAPTER).is_file():
            raise ConfigurationError(
                f"files: {{{BASE}: {base}}} is itself a LoRA adapter; merge it into its own base and name the result."
            )
        return cls(folder, base)

    def source(self) -> TensorSource:
        """All tensors by their published names, an adapter merged.

        Raises:
            CheckpointError: A file is missing or broken, or adapter and base do not go together.
        """
        if self.base is None:
            return TensorFiles.open(self.folder)
        trained = read_torch_part(self.folder / TRAINED_PARTS)
        # The file may repeat the frozen weights under the adapters; they are those of the base.
        whole = {name: tensor for name, tensor in trained.items() if ".base_layer." not in name and "lora_" not in name}
        return Merged(Overlaid(TensorFiles.open(self.base), HeldTensors(whole)), read_adapter(self.folder))

    def __str__(self) -> str:
        return str(self.folder) if self.base is None else f"{self.folder} on {self.base}"
