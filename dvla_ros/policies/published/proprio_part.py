"""The projector of the state, which OpenVLA-OFT saves in a file of its own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dvla_ros.errors import CheckpointError
from dvla_ros.models.prismatic_projectors import ProprioProjector
from dvla_ros.weights.checkpoint_folder import file_in
from dvla_ros.weights.streaming import load_into, on_meta
from dvla_ros.weights.tensor_source import HeldTensors
from dvla_ros.weights.torch_parts import read_torch_part

_STEM, _SUFFIX = "proprio_projector", ".pt"
_STEP = re.compile(rf"{_STEM}--(?P<step>\w+)_checkpoint\{_SUFFIX}")

OTHER_PARTS = {
    "action_head": "an action head that predicts numbers by regression or diffusion, not tokens",
    "noisy_action_projector": "the diffusion variant, which denoises numbers and not tokens",
    "vision_backbone": "a vision backbone with FiLM, in which the instruction changes what the towers see",
}
"""Parts of other variants of OpenVLA-OFT, by the beginning of their file names."""


def refuse_other_parts(folder: Path) -> None:
    """Refuse a folder that holds a part of another variant.

    Raises:
        CheckpointError: It does; the message says what the part is.
    """
    for name in sorted(path.name for path in folder.iterdir()):
        for part, what in OTHER_PARTS.items():
            if name.startswith(f"{part}--"):
                raise CheckpointError(
                    f"{folder} holds {name}: {what}. That is another variant of OpenVLA-OFT, which this package does "
                    "not run; if the file is left over from another training run, move it elsewhere."
                )


@dataclass(frozen=True)
class ProprioPart:
    """The file, its names and shapes checked.

    Attributes:
        path: The file.
        tensors: What it holds, mapped from it.
        state_dim: Numbers of a state, S.
        width: Of the language model, W.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    state_dim: int
    width: int

    @classmethod
    def find(cls, folder: Path, width: int) -> "ProprioPart | None":
        """The part that belongs to a checkpoint; None where there is none.

        Raises:
            CheckpointError: There are several and the folder's name does not say which, or the file is not readable
                or does not fit.
        """
        names = sorted(p.name for p in folder.iterdir() if p.name.startswith(_STEM) and p.suffix == _SUFFIX)
        if not names:
            return None
        path = file_in(folder, _chosen(folder, names))
        tensors = read_torch_part(path)
        first = tensors.get("fc1.weight")
        if first is None or first.ndim != 2:
            raise CheckpointError(f"{path} has no fc1.weight [{width}, S]; it holds {sorted(tensors)[:10]}.")
        return cls(path, tensors, first.shape[1], width)

    def network(self, device: torch.device, dtype: torch.dtype) -> ProprioProjector:
        """The projector with its weights.

        Raises:
            CheckpointError: Names or shapes do not fit.
        """
        projector = on_meta(lambda: ProprioProjector(self.state_dim, self.width))
        load_into(projector, HeldTensors(self.tensors), device=device, dtype=dtype, where=self.path)
        return projector.eval()


def _chosen(folder: Path, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    fitting = [name for name in names if (step := _STEP.fullmatch(name)) and f"--{step['step']}_chkpt" in folder.name]
    if len(fitting) != 1:
        raise CheckpointError(
            f"{folder} holds several projectors of the state, {names}, and its name does not say which step it is of; "
            "keep the one that was saved with the weights."
        )
    return fitting[0]
