"""What a published checkpoint does not say of itself: cameras, control, conventions."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from dvla_ros.actions.gripper import gripper_convention
from dvla_ros.actions.normalization import Normalizer
from dvla_ros.control.bridge import ACTION_NAMES
from dvla_ros.control.chunk import ControlMode
from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.weight_form import UNCHANGED, WEIGHTS
from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.base import PolicySpec
from dvla_ros.policies.checkpoint import dataclass_from_json
from dvla_ros.policies.published.units import LIBERO, METRIC, UNITS, in_metres

STATE_WIDTH = len(ACTION_NAMES)
"""Numbers of the robot's state: x, y, z, roll, pitch, yaw, gripper."""
_STATE_WIDTHS = {"bridge": STATE_WIDTH, "libero": 8, "none": STATE_WIDTH}


@dataclass(frozen=True)
class Deployment:
    """How a published checkpoint is to be used; its own files do not say.

    Every field has a default, and 0, "" or () mean: as the system was published (see its layout).

    Attributes:
        system: Of layouts that several systems share: `ud_vla` or `dfm_vla`; "" for the first one.
        unnorm_key: Data set whose statistics the actions are in; "" where the file holds only one.
        cameras: Names of the robot's cameras, in the order in which the checkpoint was trained to see them.
        image_sizes: (height, width) of each camera's image before the system's own preprocessing, UD-VLA's 200 x 200
            and 80 x 80; () where the system has one size for all.
        rotate_180: Turn every image by 180 degrees first: right for LIBERO's renderings and for cameras that hang
            upside down, wrong for all others.
        jpeg: Pass every image through JPEG first, as the training data were (OpenVLA's).
        center_crop: Cut the centre out, as weights trained with random crops need.
        control_mode: Name of the `ControlMode` of an action.
        action_names: Columns of an action.
        units: What the increments of the training data were in: `metric`, metres and radians, or `libero`, the units of
            LIBERO's controller.
        state: What the checkpoint takes as its state: `bridge`, pose and gripper as in `control.bridge`; `libero`, the
            8 numbers of `evaluation.libero.conventions`, which only LIBERO's simulator has; or `none`.
        gripper: Name of the convention that turns the checkpoint's gripper number into 0 closed .. 1 open, see
            `actions.gripper`.
        horizon: Actions of a chunk, H; 0 for the system's.
        execute_steps: Actions to execute before asking again; 0 for all.
        dt: Seconds between actions.
        attention: Who sees whom, see `models.attention`; "" for that of the released weights.
        decoding: Settings of the decoder that replace the system's, see `denoising.registry`.
        cache: What a denoising step keeps of the one before: `exact`, `prefix`, `dllm` or
            `dllm:PROMPT_INTERVAL,CANVAS_INTERVAL,RATIO`, see `engine.cache_plan`.
        weights: How the language model's weights are held: `bf16`, `int8`, `int8_dynamic` or `fp8`, see
            `engine.quantise`.
        files: Folders and files that the system keeps elsewhere, by their name in the layout, e.g. `vision_tokenizer`.

    Raises:
        ConfigurationError: A value is unknown or out of range.
    """

    system: str = ""
    unnorm_key: str = ""
    cameras: tuple[str, ...] = ()
    image_sizes: tuple[tuple[int, int], ...] = ()
    rotate_180: bool = False
    jpeg: bool = True
    center_crop: bool = True
    control_mode: str = "EE_DELTA"
    action_names: tuple[str, ...] = ACTION_NAMES
    units: str = METRIC
    state: str = "bridge"
    gripper: str = "binary_01"
    horizon: int = 0
    execute_steps: int = 0
    dt: float = 0.2
    attention: str = ""
    decoding: Mapping[str, object] = field(default_factory=dict)
    cache: str = "exact"
    weights: str = UNCHANGED
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        CachePlan.parse(self.cache)
        if self.weights not in WEIGHTS:
            raise ConfigurationError(f"weights must be one of {', '.join(WEIGHTS)}, got {self.weights!r}.")
        convention = gripper_convention(self.gripper)
        if (convention.low, convention.high) != (0.0, 1.0):
            raise ConfigurationError(
                f"gripper '{self.gripper}' gives a simulator's numbers {convention.low:g}..{convention.high:g}; choose "
                "0 closed .. 1 open: passthrough, inverted_01, binary_01, binary_signed or inverted_signed."
            )
        if len(set(self.cameras)) != len(self.cameras):
            raise ConfigurationError(f"cameras must be different names, got {list(self.cameras)}.")
        if self.cameras and self.image_sizes and len(self.image_sizes) != len(self.cameras):
            raise ConfigurationError(
                f"image_sizes must name one (height, width) for each of the {len(self.cameras)} cameras "
                f"{list(self.cameras)}, got {len(self.image_sizes)}."
            )
        if self.control_mode not in ControlMode.__members__:
            known = ", ".join(ControlMode.__members__)
            raise ConfigurationError(f"control_mode must be one of {known}, got {self.control_mode!r}.")
        if self.units not in UNITS:
            raise ConfigurationError(f"units must be one of {', '.join(UNITS)}, got {self.units!r}.")
        if self.units == LIBERO and self.control_mode != ControlMode.EE_DELTA.name:
            raise ConfigurationError(
                f"units: {LIBERO} is for increments, control_mode: EE_DELTA; got {self.control_mode!r}."
            )
        if self.state not in _STATE_WIDTHS:
            raise ConfigurationError(f"state must be one of {', '.join(_STATE_WIDTHS)}, got {self.state!r}.")
        if self.dt <= 0 or min(self.horizon, self.execute_steps) < 0:
            raise ConfigurationError(
                f"dt must be positive, horizon and execute_steps 0 or more, got {self.dt}, {self.horizon}, "
                f"{self.execute_steps}."
            )

    @classmethod
    def load(cls, path: Path) -> "Deployment":
        """Read a YAML file; paths in `files` are relative to it.

        Raises:
            ConfigurationError: It is missing or no YAML mapping, or a key or value is wrong.
        """
        if not path.is_file():
            raise ConfigurationError(f"There is no deployment file {path}; write one, see docs/how_to/checkpoints.md.")
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path} is no YAML: {error}") from error
        deployment: Deployment = dataclass_from_json(cls, {} if values is None else values, "")
        here = path.resolve().parent
        return replace(deployment, files={name: str(here / file) for name, file in deployment.files.items()})

    @property
    def state_width(self) -> int:
        """Numbers of the state that an observation holds, whether or not it is looked at."""
        return _STATE_WIDTHS[self.state]

    def in_metres(self, normalizer: Normalizer) -> Normalizer:
        """The normaliser of the actions, from the units of the training data to metres and radians.

        Raises:
            CheckpointError: It does not fit the units.
        """
        return in_metres(normalizer, self.units)

    def file(self, name: str, *candidates: Path) -> Path:
        """Where a file or folder of the layout lies: as `files` says, else the first candidate that exists.

        Raises:
            ConfigurationError: It is not there; the message says where it was looked for.
        """
        if name in self.files:
            candidates = (Path(self.files[name]).expanduser(),)
        for candidate in candidates:
            if candidate.exists():
                return candidate
        places = ", ".join(str(candidate) for candidate in candidates)
        raise ConfigurationError(
            f"The checkpoint needs '{name}', which is not at {places}; name its place in the deployment file: "
            f"files: {{{name}: PATH}}."
        )

    def spec(self, system: str, horizon: int, *, imagines: bool = False, reasons: bool = False) -> PolicySpec:
        """What a policy needs and gives; of the state always the robot's own, whether or not it is looked at.

        Raises:
            ConfigurationError: More actions are to be executed than a chunk has.
        """
        if self.execute_steps > horizon:
            raise ConfigurationError(
                f"execute_steps must be at most the {horizon} actions of a chunk, got {self.execute_steps}."
            )
        return PolicySpec(
            system=system,
            cameras=self.cameras,
            state_dim=self.state_width,
            action_names=self.action_names,
            mode=ControlMode[self.control_mode],
            horizon=horizon,
            execute_steps=self.execute_steps or horizon,
            dt=self.dt,
            imagines=imagines,
            reasons=reasons,
        )

    def seen_by(self, *cameras: str) -> "Deployment":
        """The same with these cameras, where none are named.

        Raises:
            ConfigurationError: There are not as many image sizes.
        """
        return self if self.cameras else replace(self, cameras=cameras)
