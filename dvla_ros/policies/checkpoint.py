"""A checkpoint folder of this repository: `config.json`, `model.safetensors`, `dataset_statistics.json`."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from dvla_ros.actions.normalization import DatasetStatistics
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ControlMode
from dvla_ros.denoising.masked import MaskedConfig
from dvla_ros.errors import CheckpointError, DvlaError
from dvla_ros.models.small_vla import SmallVlaConfig
from dvla_ros.policies.base import PolicySpec

CONFIG, WEIGHTS, STATISTICS = "config.json", "model.safetensors", "dataset_statistics.json"
STATISTICS_KEY = "widowx_sim"


@dataclass(frozen=True)
class CheckpointConfig:
    """Contents of `config.json`.

    Attributes:
        model: Sizes of the network.
        decoding: Settings of the decoder.
        cameras: Camera names, in the network's order.
        action_names: Columns of an action.
        control_mode: Name of the `ControlMode`.
        execute_steps: Actions to execute before asking again.
        dt: Seconds between actions.
        system: The published system whose algorithm this is.
    """

    model: SmallVlaConfig
    decoding: MaskedConfig
    cameras: tuple[str, ...] = ("front", "wrist")
    action_names: tuple[str, ...] = ACTION_NAMES
    control_mode: str = "EE_DELTA"
    execute_steps: int = 5
    dt: float = 0.2
    system: str = "dd_vla"

    def __post_init__(self) -> None:
        if len(self.cameras) != self.model.cameras or len(self.action_names) != self.model.action_dim:
            raise CheckpointError(
                f"{CONFIG} names {len(self.cameras)} cameras and {len(self.action_names)} action columns, the network "
                f"has {self.model.cameras} and {self.model.action_dim}."
            )
        if self.control_mode not in ControlMode.__members__:
            raise CheckpointError(
                f"control_mode {self.control_mode!r} is not one of {', '.join(ControlMode.__members__)}."
            )
        if not 1 <= self.execute_steps <= self.model.horizon or self.dt <= 0:
            raise CheckpointError(
                f"execute_steps must be 1..{self.model.horizon} and dt positive, got {self.execute_steps}, {self.dt}."
            )

    @property
    def spec(self) -> PolicySpec:
        """What the policy needs and gives."""
        return PolicySpec(
            system=self.system,
            cameras=self.cameras,
            state_dim=self.model.state_dim,
            action_names=self.action_names,
            mode=ControlMode[self.control_mode],
            horizon=self.model.horizon,
            execute_steps=self.execute_steps,
            dt=self.dt,
        )


def write_checkpoint(folder: Path, config: CheckpointConfig, model: nn.Module, statistics: DatasetStatistics) -> None:
    """Write or overwrite a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / WEIGHTS)
    statistics.save(folder / STATISTICS, STATISTICS_KEY)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=2) + "\n")


def read_config(folder: Path) -> CheckpointConfig:
    """Read and check `config.json`.

    Raises:
        CheckpointError: The folder or the file is missing, or a key or value is not right.
    """
    if not folder.is_dir():
        raise CheckpointError(f"There is no checkpoint folder {folder}; pass the folder that holds {CONFIG}.")
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(f"{folder} is not a checkpoint of this package: it has no {CONFIG}.")
    try:
        return _config_from_json(json.loads(path.read_text()))
    except (json.JSONDecodeError, TypeError, DvlaError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _config_from_json(values: dict[str, Any]) -> CheckpointConfig:
    if not isinstance(values, dict):
        raise CheckpointError(f"a JSON object with the keys of a checkpoint is needed, got {values!r}.")
    known = {field.name for field in fields(CheckpointConfig)}
    if unknown := sorted(set(values) - known):
        raise CheckpointError(f"unknown keys {unknown}; known are {sorted(known)}.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    if missing := sorted({"model", "decoding"} - set(values)):
        raise CheckpointError(f"the keys {missing} are missing.")
    values["model"] = SmallVlaConfig(**values["model"])
    values["decoding"] = MaskedConfig(**values["decoding"])
    return CheckpointConfig(**values)


def read_weights(folder: Path, model: nn.Module) -> None:
    """Load `model.safetensors` into the network; names and shapes must agree exactly.

    Raises:
        CheckpointError: The file is missing or broken, or keys are missing, unexpected or of another shape.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {WEIGHTS}; it may be an unfinished checkpoint.")
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    expected = model.state_dict()
    problems = [f"missing {name}" for name in expected if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in expected]
    problems += [
        f"{name} is {list(tensors[name].shape)}, expected {list(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    if problems:
        raise CheckpointError(f"{path} does not fit {CONFIG}: {'; '.join(problems[:10])}.")
    model.load_state_dict(tensors)


def read_statistics(folder: Path, spec: PolicySpec) -> DatasetStatistics:
    """Read the normalisation statistics of the actions and states that `spec` names.

    Raises:
        CheckpointError: They are missing, incomplete or for another number of columns.
    """
    statistics = DatasetStatistics.load(folder / STATISTICS)
    found = len(statistics.action.mean), len(statistics.proprio.mean)
    expected = len(spec.action_names), spec.state_dim
    if found != expected:
        raise CheckpointError(
            f"{folder / STATISTICS} is for {found[0]} action and {found[1]} state columns, {CONFIG} for {expected[0]} "
            f"and {expected[1]}; take both from the same training run."
        )
    return statistics
