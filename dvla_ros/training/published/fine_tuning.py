"""A published checkpoint opened for fine-tuning: what a training loop asks of it, and how it is saved."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dvla_ros.errors import CheckpointError, ConfigurationError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.layout import Setup
from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.policies.published.write_back import copy_small_files, write_back, write_side_files
from dvla_ros.training.published.adapter_folder import write_adapter
from dvla_ros.training.published.examples import PublishedExamples
from dvla_ros.training.published.families import (
    action_ids,
    files_elsewhere,
    learner_of,
    objective_of,
    reader_of,
    trained_parts_file,
    words_of,
)
from dvla_ros.training.published.frames import FrameSource
from dvla_ros.training.published.low_rank import adapt, run_again, train_all, trained_parameters
from dvla_ros.training.published.merged import merged_tensors
from dvla_ros.training.published.preset import Preset

_MODEL, _PARTIAL, _REPLACED = "model", ".partial", ".replaced"


class FineTuning:
    """One run's network, objective and checkpoint.

    Args:
        setup: The checkpoint.
        network: What `setup.network` gave, adapted here in place.
        preset: What is trained.

    Attributes:
        setup: See above.
        network: See above.
        preset: See above.
        learner: As objectives see the network.
        objective: The loss.
        module: All that may be trained, in training mode; its trained parameters have `requires_grad`.
    """

    def __init__(self, setup: Setup, network: Any, preset: Preset) -> None:
        if preset.system != setup.system:
            raise ConfigurationError(
                f"The preset {preset.name!r} is of {preset.system}, {setup.folder} is a checkpoint of {setup.system}."
            )
        self.setup, self.network, self.preset = setup, network, preset
        self.learner = learner_of(setup, network)
        self.module: nn.Module = self.learner.module
        if preset.low_rank is None:
            train_all(self.module, preset.frozen, self.learner.never_run)
        else:
            adapt(self.module, preset.low_rank, action_ids(setup), self.learner.never_run)
        run_again(self.module, preset.checkpointing)
        self.module.train()
        self.objective = objective_of(setup, network, preset)

    @classmethod
    def open(
        cls,
        folder: Path,
        deployment: Deployment,
        preset: Preset,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.bfloat16,
    ) -> "FineTuning":
        """Read a published checkpoint, its weights as `dtype`; those that are trained are float32.

        Raises:
            CheckpointError: The folder does not fit.
            ConfigurationError: The deployment or the preset does not fit.
        """
        setup = read_setup(folder, deployment)
        return cls(setup, setup.network(torch.device(device), dtype), preset)

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """What takes gradients, by name in `module`."""
        return trained_parameters(self.module)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """For AdamW: matrices decay, vectors do not; what is trained beside an adapter may have its own rate."""
        preset, low_rank = self.preset, self.preset.low_rank
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.trained.items():
            beside = low_rank is not None and ".lora_" not in name
            beside = beside or name.startswith(f"{_MODEL}.policy_head.") or name.startswith(f"{_MODEL}.film.")
            rate = preset.head_learning_rate if beside and preset.head_learning_rate else preset.learning_rate
            decay = preset.weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
        return [{"params": ps, "lr": rate, "weight_decay": decay} for (rate, decay), ps in groups.items()]

    def examples(self, source: FrameSource, cut_out: bool = False) -> PublishedExamples:
        """The data set; its items and its `collate` are for a `DataLoader`.

        Args:
            source: Of the frames.
            cut_out: Whether an augmentation cuts the images out; their middle is then not cut out once more.
        """
        reader = reader_of(self.setup, cut_out)
        return PublishedExamples(self.setup, reader, source, words_of(self.setup, self.preset))

    def completed(self, batch: Any) -> Any:
        """A batch on the device with what only the device can make of it: the codes of UD-VLA's future images."""
        complete = getattr(self.learner, "completed", None)
        return batch if complete is None else complete(batch)

    def save(self, folder: Path, values: Mapping[str, Tensor] | None = None) -> None:
        """Write the whole checkpoint in its published form, adapters merged; loadable by `load_policy`.

        Args:
            folder: Where to. One that is there is replaced when the new one is complete.
            values: Other values of the parameters by their name in `module`, such as averaged ones, or all of them
                gathered from several processes.
        """
        model, parts = _split(values)

        def write(target: Path) -> None:
            merged = merged_tensors(_model(self.module), model)
            write_back(self.setup, self.network, target, merged, parts)
            self._gather_files(target)

        _replaced(folder, write)

    def save_adapter(self, folder: Path, values: Mapping[str, Tensor] | None = None) -> None:
        """Write the adapter and what lies beside the weights; `files: {base: PATH}` of a deployment names the base.

        Raises:
            ConfigurationError: The preset trains no adapter.
        """
        low_rank = self.preset.low_rank
        if low_rank is None:
            raise ConfigurationError(f"The preset {self.preset.name!r} trains no adapter; save the whole checkpoint.")
        model, parts = _split(values)

        def write(target: Path) -> None:
            copy_small_files(self.setup, target)
            beside = trained_parts_file(self.setup)
            write_adapter(target, self.setup, _model(self.module), low_rank, model, beside)
            write_side_files(self.setup, self.network, target, parts)
            self._gather_files(target)

        _replaced(folder, write)

    def _gather_files(self, folder: Path) -> None:
        for path in files_elsewhere(self.setup):
            shutil.copyfile(path, folder / path.name)


def _model(module: nn.Module) -> nn.Module:
    return module.get_submodule(_MODEL)


def _split(values: Mapping[str, Tensor] | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Values of the main networks, and of the parts in files of their own, by their names there."""
    split: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    for name, value in (values or {}).items():
        part, _, rest = name.partition(".")
        split[part != _MODEL][rest] = value
    return split


def _replaced(folder: Path, write: Any) -> None:
    """Write beside the folder, and put it in its place when it is complete."""
    partial, old = (folder.with_name(folder.name + ending) for ending in (_PARTIAL, _REPLACED))
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    try:
        write(partial)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be written: {error}; what was there is as it was.") from error
    if folder.exists():
        os.rename(folder, old)
    os.rename(partial, folder)
    shutil.rmtree(old, ignore_errors=True)
