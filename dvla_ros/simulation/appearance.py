"""How the cameras see the scene: other light, table, colours, camera poses and noise than in the demonstrations.

Only pictures change; physics, judgement and demonstrations stay as they are.
"""

import colorsys
from dataclasses import dataclass, fields

import mujoco
import numpy as np

from dvla_ros.errors import ConfigurationError
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.scene import COLOURS, build_model
from dvla_ros.simulation.table_patterns import table_patterns

_MOVED_CAMERA = "front"
_STREAM = 0xCA3
"""Sets the draws of an appearance apart from those of the scene's layout."""
_TILT = np.pi / 2
"""Turn (rad) of the light's direction at `light` 1."""
_DEGREES_PER_CM = 1.0
"""The moved camera also turns: by so many degrees for each centimetre."""
_BRIGHTNESS_PER_DEGREE = 1.0 / 80.0
"""A cube whose hue turns by d degrees also becomes brighter or darker by this share times d."""
MOST_HUE = 20.0
"""Hues of red, green and blue are 120 degrees apart: up to here each still has its name."""


@dataclass(frozen=True)
class Appearance:
    """What is different in the pictures; nothing by default. Signs and directions are drawn for each scene.

    Attributes:
        noise: Standard deviation (grey levels of 255) of Gaussian noise on each value of the cameras' pictures.
        light: Share in 0..0.9 by which all light becomes brighter or darker; its direction turns by this much of 90°.
        texture: Contrast in 0..1 of a pattern on the table: checks, stripes or blotches.
        colour: Degrees in 0..20 by which each cube's hue turns; it also becomes brighter or darker, by 1/80 a degree.
        camera: Centimetres in 0..20 by which the front camera stands elsewhere; it turns by as many degrees.

    Raises:
        ConfigurationError: A value is out of range.
    """

    noise: float = 0.0
    light: float = 0.0
    texture: float = 0.0
    colour: float = 0.0
    camera: float = 0.0

    def __post_init__(self) -> None:
        most = {"noise": 255.0, "light": 0.9, "texture": 1.0, "colour": MOST_HUE, "camera": 20.0}
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= most[field.name]:
                raise ConfigurationError(f"{field.name} must lie in 0..{most[field.name]:g}, got {value:g}.")

    @property
    def nominal(self) -> bool:
        """Whether the pictures are as in the demonstrations."""
        return self == NOMINAL_APPEARANCE


NOMINAL_APPEARANCE = Appearance()
"""As in the demonstrations."""


class DressedCameras:
    """Renders a scene as an appearance says; belongs to one thread, as the rig it holds.

    Args:
        model: The scene's own model, which is what is rendered at the nominal appearance, to the last bit.
        appearance: What is different. Another one renders a model of its own, so that nothing else sees the change.
        width: Of the pictures, pixels.
        height: Of the pictures, pixels.
    """

    def __init__(self, model: mujoco.MjModel, appearance: Appearance, width: int, height: int) -> None:
        self._appearance = appearance
        self._model = model if appearance.nominal else build_model(table_patterns(appearance.texture))
        self._rig = CameraRig(self._model, width, height)
        self._plain = None if appearance.nominal else _Look.of(self._model)
        self._noise = np.random.default_rng(0)

    def restart(self, seed: int) -> None:
        """Dress the scene of this seed anew: the same seed, the same look and the same noise."""
        if self._plain is None:
            return
        rng = np.random.default_rng([seed, _STREAM])
        self._plain.put_on(self._model)
        self._dress_light(rng)
        self._dress_table(rng)
        self._dress_cubes(rng)
        self._dress_camera(rng)
        self._noise = np.random.default_rng([seed, _STREAM, 1])

    def render(self, qpos: np.ndarray, camera: str, mocap: np.ndarray | None = None) -> np.ndarray:
        """As `CameraRig.render`; the noise of each picture is new."""
        picture = self._rig.render(qpos, camera, mocap)
        if self._appearance.noise == 0.0:
            return picture
        noisy = picture + self._noise.normal(0.0, self._appearance.noise, picture.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    def close(self) -> None:
        """Free the OpenGL context."""
        self._rig.close()

    def _dress_light(self, rng: np.random.Generator) -> None:
        share, model = self._appearance.light, self._model
        factor = 1.0 + share * rng.choice([-1.0, 1.0])
        turn = _rotation(_direction(rng), share * _TILT)
        model.light_diffuse[:] *= factor
        model.light_dir[:] = model.light_dir @ turn.T
        model.vis.headlight.ambient[:] *= factor
        model.vis.headlight.diffuse[:] *= factor

    def _dress_table(self, rng: np.random.Generator) -> None:
        number = int(rng.integers(len(table_patterns(1.0))))
        if self._appearance.texture > 0.0:
            self._model.geom("table").matid[:] = self._model.material(f"pattern_{number}").id

    def _dress_cubes(self, rng: np.random.Generator) -> None:
        for colour in COLOURS:
            turn, brighter = self._appearance.colour * rng.choice([-1.0, 1.0], 2)
            geom = self._model.geom(colour)
            geom.rgba[:3] = shifted_colour(geom.rgba[:3], turn, 1.0 + brighter * _BRIGHTNESS_PER_DEGREE)

    def _dress_camera(self, rng: np.random.Generator) -> None:
        camera, amount = self._model.camera(_MOVED_CAMERA), self._appearance.camera
        offset, axis = _direction(rng), _direction(rng)
        camera.pos[:] += 0.01 * amount * offset
        turn, quaternion = np.zeros(4), camera.quat.copy()
        mujoco.mju_axisAngle2Quat(turn, axis, np.deg2rad(_DEGREES_PER_CM * amount))
        mujoco.mju_mulQuat(camera.quat, turn, quaternion)


@dataclass(frozen=True)
class _Look:
    """What of a model an appearance changes, as it was built."""

    light_diffuse: np.ndarray
    light_dir: np.ndarray
    ambient: np.ndarray
    headlight: np.ndarray
    table: np.ndarray
    colours: np.ndarray
    cam_pos: np.ndarray
    cam_quat: np.ndarray

    @classmethod
    def of(cls, model: mujoco.MjModel) -> "_Look":
        return cls(*(array.copy() for array in cls._arrays(model)))

    def put_on(self, model: mujoco.MjModel) -> None:
        for array, field in zip(self._arrays(model), fields(self), strict=True):
            array[:] = getattr(self, field.name)

    @staticmethod
    def _arrays(model: mujoco.MjModel) -> tuple[np.ndarray, ...]:
        light = model.vis.headlight
        seen = (model.light_diffuse, model.light_dir, light.ambient, light.diffuse, model.geom_matid, model.geom_rgba)
        return (*seen, model.cam_pos, model.cam_quat)


def shifted_colour(rgb: np.ndarray, degrees: float, factor: float) -> np.ndarray:
    """A colour `[3]` in 0..1 with its hue turned and its value multiplied."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(float(channel) for channel in rgb))
    return np.array(colorsys.hsv_to_rgb((hue + degrees / 360.0) % 1.0, saturation, min(1.0, value * factor)))


def _direction(rng: np.random.Generator) -> np.ndarray:
    """A unit vector `[3]`, all directions alike."""
    drawn: np.ndarray = rng.normal(size=3)
    return drawn / np.linalg.norm(drawn)


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix `[3, 3]` by `angle` rad about a unit vector."""
    quaternion, matrix = np.zeros(4), np.zeros(9)
    mujoco.mju_axisAngle2Quat(quaternion, axis, angle)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
