"""What a run needs to go on after a kill as if nothing had happened, beside the checkpoint: exact, and without pickle.

Weights, their average and the optimiser's moments are tensors of one safetensors file; the rest is JSON. All
randomness is a function of the seed and the step, so no random state is kept.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from dvla_ros.errors import CheckpointError
from dvla_ros.training.average import WeightAverage

TENSORS, VALUES = "state.safetensors", "state.json"


@dataclass(frozen=True)
class RunValues:
    """The numbers of a run.

    Attributes:
        step: Optimiser steps done.
        settings: Of the run, by name; a run that goes on must have the same.
        means: Running means of the losses.
        mean_count: Steps in these.
        seconds: Trained so far.
    """

    step: int
    settings: Mapping[str, Any]
    means: Mapping[str, float] = field(default_factory=dict)
    mean_count: int = 0
    seconds: float = 0.0


class RunTensors:
    """Weights, average and moments of a run, whole on one process or sharded over several.

    Args:
        trained: Parameters by name.
        average: Of these.
        optimiser: Of these.
    """

    def __init__(
        self, trained: Mapping[str, nn.Parameter], average: WeightAverage, optimiser: torch.optim.Optimizer
    ) -> None:
        self._trained, self._average, self._optimiser = dict(trained), average, optimiser

    def gather(self) -> dict[str, Tensor]:
        """All tensors on the CPU, whole; every process must take part."""
        named = {f"weights.{name}": parameter.detach() for name, parameter in self._trained.items()}
        named |= {f"average.{name}": tensor for name, tensor in self._average.weights.items()}
        for name, parameter in self._trained.items():
            moments = self._optimiser.state.get(parameter, {})
            named |= {f"optimiser.{name}.{key}": value for key, value in moments.items() if isinstance(value, Tensor)}
        return {name: whole(tensor) for name, tensor in named.items()}

    @torch.no_grad()
    def restore(self, path: Path) -> None:
        """Take over what `gather` gave.

        Raises:
            CheckpointError: The file is broken, or of another network.
        """
        stored = read_tensors(path)
        for name, parameter in self._trained.items():
            _fill(parameter, stored, f"weights.{name}", path)
            _fill(self._average.weights[name], stored, f"average.{name}", path)
            prefix = f"optimiser.{name}."
            keys = [key for key in stored if key.startswith(prefix)]
            state = self._optimiser.state[parameter]
            for key in keys:
                tensor = stored.pop(key)
                same = tensor.shape == parameter.shape
                state[key.removeprefix(prefix)] = _placed_like(parameter, tensor) if same else tensor
        if stored:
            raise CheckpointError(f"{path} holds {sorted(stored)[:5]}, which this run does not train.")


def whole(tensor: Tensor) -> Tensor:
    """A copy on the CPU, gathered where it is sharded."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.detach().to("cpu", copy=True).contiguous()


def write_state(folder: Path, tensors: Mapping[str, Tensor], values: RunValues) -> None:
    """Write both files into a folder; the numbers last."""
    folder.mkdir(parents=True)
    save_file(dict(tensors), folder / TENSORS)
    (folder / VALUES).write_text(json.dumps(asdict(values), indent=1) + "\n")


def read_values(folder: Path) -> RunValues:
    """The numbers of a run.

    Raises:
        CheckpointError: The file is missing or broken.
    """
    path = folder / VALUES
    try:
        return RunValues(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is not the state of a run ({error}); resume from another step.") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file.

    Raises:
        CheckpointError: It is missing or broken.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); resume from another step.") from error


def _fill(target: Tensor, stored: dict[str, Tensor], name: str, path: Path) -> None:
    tensor = stored.pop(name, None)
    if tensor is None or tensor.shape != target.shape:
        found = "is missing" if tensor is None else f"has the shape {list(tensor.shape)}"
        raise CheckpointError(f"{name} {found} in {path}; the run trains one of {list(target.shape)}.")
    target.copy_(_placed_like(target, tensor))


def _placed_like(target: Tensor, tensor: Tensor) -> Tensor:
    if isinstance(target, DTensor):
        return distribute_tensor(tensor.to(target.device), target.device_mesh, target.placements)
    return tensor.to(target.device)
