"""What a run trains, whatever system and size it is of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dvla_ros.training.batch import Objective


def _as_it_is(batch: Any) -> Any:
    return batch


@dataclass(frozen=True)
class Subject:
    """A network with its objective.

    Attributes:
        network: All its parameters; those that require a gradient are trained.
        learner: The network as the objective sees it.
        objective: What it is trained on.
        complete: Adds to a batch on the device what only the device can make of it.
        groups: The trained parameters as AdamW's groups, "lr" of each its peak; None for one learning rate, and weight
            decay on matrices.
        write: Writes a checkpoint that loads as it is into a folder that is there: the folder, and by name the trained
            parameters as they are to be written, whole and on the CPU.
    """

    network: nn.Module
    learner: Any
    objective: Objective
    write: Callable[[Path, Mapping[str, Tensor]], None]
    complete: Callable[[Any], Any] = _as_it_is
    groups: Callable[[], list[dict[str, Any]]] | None = None

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""
        return {name: p for name, p in self.network.named_parameters() if p.requires_grad}


class Lesson(nn.Module):
    """One forward pass of training as one module, as data parallelism wants it."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.network = subject.network
        self._learner, self._objective = subject.learner, subject.objective

    def forward(self, exercise: Any) -> Mapping[str, Tensor]:
        """See `Objective.sums`."""
        return self._objective.sums(self._learner, exercise)
