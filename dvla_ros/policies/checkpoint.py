"""A checkpoint folder of this repository: `config.json`, `model.safetensors`, `dataset_statistics.json`.

Some systems keep more beside them: `fast/` the action tokenizer, `vq/` the image tokenizer, `reasoning/` the text
tokenizer.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dvla_ros.actions.normalization import DatasetStatistics
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ControlMode
from dvla_ros.errors import CheckpointError, ConfigurationError, DvlaError
from dvla_ros.models.networks import NETWORKS, NetworkConfig, network_name
from dvla_ros.models.small_divla import SmallDivlaConfig
from dvla_ros.models.small_vla import SmallVlaConfig
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.coding import ActionCoding

CONFIG, WEIGHTS, STATISTICS = "config.json", "model.safetensors", "dataset_statistics.json"
STATISTICS_KEY = "widowx_sim"


@dataclass(frozen=True)
class CheckpointConfig:
    """Contents of `config.json`.

    Attributes:
        system: The published system whose algorithm this is.
        model: Sizes of the network; in the file, `network` names its kind.
        coding: What stands for an action.
        decoding: Settings of the decoder by name, see `denoising.registry`.
        cameras: Camera names, in the network's order.
        action_names: Columns of an action.
        control_mode: Name of the `ControlMode`.
        execute_steps: Actions to execute before asking again.
        dt: Seconds between actions.
    """

    system: str
    model: NetworkConfig
    coding: ActionCoding
    decoding: Mapping[str, object]
    cameras: tuple[str, ...] = ("front", "wrist")
    action_names: tuple[str, ...] = ACTION_NAMES
    control_mode: str = "EE_DELTA"
    execute_steps: int = 3
    dt: float = 0.2

    def __post_init__(self) -> None:
        if len(self.cameras) != self.model.perception.cameras or len(self.action_names) != self.model.action_dim:
            raise CheckpointError(
                f"{CONFIG} names {len(self.cameras)} cameras and {len(self.action_names)} action columns, the network "
                f"has {self.model.perception.cameras} and {self.model.action_dim}."
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
            state_dim=self.model.perception.state_dim,
            action_names=self.action_names,
            mode=ControlMode[self.control_mode],
            horizon=self.model.horizon,
            execute_steps=self.execute_steps,
            dt=self.dt,
            imagines=isinstance(self.model, SmallVlaConfig) and self.model.seen_segments > 0,
            reasons=isinstance(self.model, SmallDivlaConfig) and self.model.vocabulary > 0,
        )


def write_checkpoint(
    folder: Path, config: CheckpointConfig, weights: Mapping[str, Tensor], statistics: DatasetStatistics
) -> None:
    """Write or overwrite a checkpoint; `weights` as of `state_dict`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    statistics.save(folder / STATISTICS, STATISTICS_KEY)
    values = asdict(config)
    values["model"] = {"network": network_name(config.model), **values["model"]}
    (folder / CONFIG).write_text(json.dumps(values, indent=2) + "\n")


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
    except (json.JSONDecodeError, RecursionError, TypeError, DvlaError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _config_from_json(values: Any) -> CheckpointConfig:
    if not isinstance(values, dict):
        raise CheckpointError(f"a JSON object with the keys of a checkpoint is needed, got {values!r}.")
    model = dict(values.get("model") or {})
    network = model.pop("network", None)
    if network not in NETWORKS:
        raise CheckpointError(f"model.network is {network!r}; this version knows {', '.join(NETWORKS)}.")
    config_class, _ = NETWORKS[network]
    return dataclass_from_json(CheckpointConfig, {**values, "model": dataclass_from_json(config_class, model, "model")})


def dataclass_from_json(kind: type[Any], values: Mapping[str, Any], where: str = "") -> Any:
    """A dataclass from JSON values, nested dataclasses and tuples included.

    Raises:
        ConfigurationError: A key is unknown or missing.
    """
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"{where or kind.__name__} must be a JSON object, got {values!r}.")
    known = {field.name for field in fields(kind)}
    prefix = f"{where}." if where else ""
    if unknown := sorted(set(values) - known):
        raise ConfigurationError(f"unknown keys {[prefix + key for key in unknown]}; known are {sorted(known)}.")
    hints = get_type_hints(kind)
    read = {name: _from_json(hints[name], value, prefix + name) for name, value in values.items()}
    try:
        return kind(**read)
    except TypeError as error:
        raise ConfigurationError(f"{where or 'a key'}: {error}") from None


def _from_json(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else dataclass_from_json(hint, value, where)
    if get_origin(hint) is tuple and isinstance(value, list):
        inner = get_args(hint)
        if len(inner) != 2 or inner[1] is not Ellipsis:
            return tuple(_from_json(kind, item, where) for kind, item in zip(inner, value, strict=True))
        return tuple(_from_json(inner[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if get_origin(hint) in (Union, UnionType) and isinstance(value, Mapping):
        kinds = [kind for kind in get_args(hint) if is_dataclass(kind)]
        return _from_json(kinds[0], value, where) if len(kinds) == 1 else value
    return value


def read_weights(folder: Path, model: nn.Module) -> None:
    """Load `model.safetensors` into the network; names and shapes must agree exactly.

    Raises:
        CheckpointError: The file is missing or broken, or keys are missing, unexpected or of another shape.
    """
    _load(model, read_tensors(folder), folder)


def read_part(folder: Path, model: nn.Module, name: str) -> None:
    """Load one part of the network, e.g. `perception`, from a checkpoint whose other parts may differ.

    Raises:
        CheckpointError: The file is missing or broken, or the part differs in keys or shapes.
    """
    prefix = f"{name}."
    tensors = {key.removeprefix(prefix): t for key, t in read_tensors(folder).items() if key.startswith(prefix)}
    _load(model.get_submodule(name), tensors, folder)


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint.

    Raises:
        CheckpointError: The file is missing or broken.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {WEIGHTS}; it may be an unfinished checkpoint.")
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    return tensors


def _load(model: nn.Module, tensors: Mapping[str, Tensor], folder: Path) -> None:
    expected = model.state_dict()
    problems = [f"missing {name}" for name in expected if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in expected]
    problems += [
        f"{name} is {list(tensors[name].shape)}, expected {list(expected[name].shape)}"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    if problems:
        raise CheckpointError(f"{folder / WEIGHTS} does not fit {CONFIG}: {'; '.join(problems[:10])}.")
    model.load_state_dict(dict(tensors))


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
