"""Parts of a checkpoint that PyTorch saved: state dictionaries in `.pt` and `.bin`, read without running their code."""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvla_ros.errors import CheckpointError
from dvla_ros.weights.checkpoint_folder import file_in

PARALLEL_PREFIX = "module."  # DistributedDataParallel
PEFT_PREFIX = "base_model.model."
_ADVICE = "save the part as safetensors where it was trained"


def read_torch_part(path: Path) -> dict[str, Tensor]:
    """The tensors of a part such as `proprio_projector--50000_checkpoint.pt` or `non_lora_trainables.bin`.

    They are on the CPU and, where the file allows it, mapped from it; `HeldTensors` copies what is used. Where every
    name starts with `module.`, then with `base_model.model.`, these are left out.

    Raises:
        CheckpointError: The file is missing, broken or a link out of its folder, would need its own code to be read,
            or holds something other than tensors by name.
    """
    values = _loaded(file_in(path.parent, path.name))
    if not isinstance(values, dict) or not values:
        raise CheckpointError(f"{path} must hold tensors by name, got {type(values).__name__}; {_ADVICE}.")
    if odd := [f"{name!r} ({type(value).__name__})" for name, value in values.items() if not _is_plain(name, value)]:
        raise CheckpointError(f"{path} holds {', '.join(odd[:10])}, which are no plain tensors; {_ADVICE}.")
    tensors = {name: tensor.detach() for name, tensor in values.items()}
    return _without_prefix(_without_prefix(tensors, PARALLEL_PREFIX), PEFT_PREFIX)


def _loaded(path: Path) -> Any:
    try:
        return torch.load(path, weights_only=True, map_location="cpu", mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        # The exception's own text is long and advises to run the file's code.
        asked = re.search(r"GLOBAL (\S+)", str(error))
        raise CheckpointError(
            f"PyTorch refused to read {path} without running code from the file"
            f"{f' ({asked[1]})' if asked else ''}; {_ADVICE}, or do not trust it."
        ) from None
    except Exception as error:  # whatever a broken file makes the reader do
        raise CheckpointError(
            f"{path} is broken or no PyTorch file ({type(error).__name__}); copy it again."
        ) from error


def _is_plain(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
