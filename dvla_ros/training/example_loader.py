"""Batches from the first step that is left to the last, made by other processes while the device works."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.training.batch import NumberedBatch
from dvla_ros.training.example_order import StepSampler
from dvla_ros.training.tensors_within import mapped

Content_co = TypeVar("Content_co", covariant=True)
PREFETCH = 4
"""Batches that each worker has ready at most."""


class ByNumbers(Protocol[Content_co]):
    """Makes a batch of the examples of some numbers, the same in every process."""

    def __getitems__(self, numbers: Sequence[int]) -> Content_co:
        """Their batch, in their order."""
        ...


class ExampleLoader(Generic[Content_co]):
    """The batches that a sampler asks for, in its order, on a device.

    Args:
        examples: That make them.
        sampler: Says of which numbers.
        workers: Processes that make them ahead; 0 makes each when it is asked for. The batches are the same.
        device: Where their tensors are wanted; for a GPU they come by way of pinned memory, without waiting.

    Raises:
        ConfigurationError: `workers` is negative.
    """

    def __init__(
        self,
        examples: ByNumbers[Content_co],
        sampler: StepSampler,
        workers: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if workers < 0:
            raise ConfigurationError(f"workers must be 0 or more, got {workers}.")
        self._device = torch.device(device)
        self._loader = DataLoader(
            _Parcels(examples),
            batch_sampler=sampler,
            num_workers=workers,
            prefetch_factor=PREFETCH if workers else None,
            collate_fn=_as_it_is,  # type: ignore[arg-type]  # __getitems__ gives a batch, not a list
            pin_memory=self._device.type == "cuda",
            generator=torch.Generator(),  # else each epoch would take a number from the run's own
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Content_co]:
        """All batches.

        Raises:
            DvlaError: As the examples raise it, whichever process made them.
        """
        for parcel in self._loader:
            if parcel.error is not None:
                raise parcel.error
            yield mapped(parcel.content, self._moved)

    def _moved(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._device, non_blocking=True)


class NumberedExamples:
    """Batches with the numbers of their examples, from which a step's corruption is drawn.

    Args:
        examples: That make them.
    """

    def __init__(self, examples: ByNumbers[Any]) -> None:
        self._examples = examples

    def __getitems__(self, numbers: Sequence[int]) -> NumberedBatch:
        """Their batch, in their order."""
        return NumberedBatch(torch.tensor(numbers), self._examples.__getitems__(numbers))


@dataclass(frozen=True)
class _Parcel:
    """A batch on its way between processes, or why there is none: an error of ours arrives as it was raised."""

    content: Any = None
    error: DvlaError | None = None

    def pin_memory(self) -> "_Parcel":
        """What `DataLoader` asks of the things it carries."""
        return _Parcel(mapped(self.content, Tensor.pin_memory), self.error)


class _Parcels(Dataset[_Parcel]):
    """Examples, each batch wrapped."""

    def __init__(self, examples: ByNumbers[Any]) -> None:
        self._examples = examples

    def __getitems__(self, numbers: Sequence[int]) -> _Parcel:
        try:
            return _Parcel(self._examples.__getitems__(numbers))
        except DvlaError as error:
            return _Parcel(error=error)


def _as_it_is(parcel: _Parcel) -> _Parcel:
    return parcel
