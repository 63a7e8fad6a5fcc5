"""Conditions under which systems are compared: one thing is other than in the demonstrations, by so much."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.simulated import SimulateConfig
from dvla_ros.simulation.appearance import Appearance

NOMINAL = "nominal"
DELAY, PHRASING = "delay", "phrasing"
WHILE_MOVING = ReplanningConfig(mode="inpaint", lead_s=0.0)
"""How chunks follow each other while the arm goes on: as the nodes do by default."""


@dataclass(frozen=True)
class Axis:
    """One thing that can differ.

    Attributes:
        about: What it is, with the unit of its strengths.
        strengths: Those that are measured where none is named, from little to much.
    """

    about: str
    strengths: tuple[float, ...]


AXES = {
    DELAY: Axis("seconds of an inference, the arm going on by in-painting", (0.2, 0.4, 0.8)),
    "noise": Axis("grey levels, standard deviation of the cameras' noise", (20.0, 40.0, 80.0)),
    "light": Axis("share by which all light changes, its direction by this much of 90°", (0.2, 0.4, 0.6)),
    "texture": Axis("contrast of a pattern on the table", (0.15, 0.3, 0.6)),
    "colour": Axis("degrees by which the cubes' hues turn", (6.0, 12.0, 18.0)),
    "camera": Axis("centimetres, and as many degrees, by which the front camera is moved", (1.0, 2.0, 4.0)),
    PHRASING: Axis("unseen sentence: 1 another verb, 2 another noun, 3 a whole request", (1.0, 2.0, 3.0)),
}


@dataclass(frozen=True)
class Condition:
    """One axis at one strength, or `nominal`.

    Raises:
        ConfigurationError: There is no such axis, or the strength is out of its range.
    """

    axis: str = NOMINAL
    strength: float = 0.0

    def __post_init__(self) -> None:
        if self.axis != NOMINAL and self.axis not in AXES:
            raise ConfigurationError(f"There is no condition {self.axis!r}; choose of {NOMINAL}, {', '.join(AXES)}.")
        if (self.axis == NOMINAL) != (self.strength == 0.0) or not self.strength >= 0.0:
            raise ConfigurationError(f"The strength of {self.axis} must be above 0, got {self.strength:g}.")
        self.applied(SimulateConfig())  # whose own checks say what is out of range

    @property
    def name(self) -> str:
        """As on the command line."""
        return NOMINAL if self.axis == NOMINAL else f"{self.axis}:{self.strength:g}"

    def applied(self, config: SimulateConfig) -> SimulateConfig:
        """The same episodes under this condition."""
        if self.axis == NOMINAL:
            return config
        if self.axis == DELAY:
            return replace(config, inference_s=self.strength, replanning=WHILE_MOVING)
        if self.axis == PHRASING:
            if self.strength != int(self.strength):
                raise ConfigurationError(f"{PHRASING} takes 1, 2 or 3, got {self.strength:g}.")
            return replace(config, phrasing=int(self.strength))
        return replace(config, appearance=Appearance(**{self.axis: self.strength}))


def conditions_of(words: Sequence[str]) -> tuple[Condition, ...]:
    """The conditions that are named, each once: `nominal`, `axis:strength`, or an axis for all its strengths.

    Raises:
        ConfigurationError: A word is none of these; `all` stands for every axis.
    """
    found: list[Condition] = []
    for word in words:
        found += [condition for condition in _of_word(word) if condition not in found]
    if not found:
        raise ConfigurationError(f"Name at least one condition: {NOMINAL}, all, or of {', '.join(AXES)}.")
    return tuple(found)


def _of_word(word: str) -> list[Condition]:
    axis, colon, strength = word.partition(":")
    if word == NOMINAL:
        return [Condition()]
    if word == "all":
        return [Condition(), *(Condition(name, value) for name in AXES for value in AXES[name].strengths)]
    if not colon and axis in AXES:
        return [Condition(axis, value) for value in AXES[axis].strengths]
    try:
        return [Condition(axis, float(strength) if colon else 0.0)]
    except ValueError as error:
        raise ConfigurationError(f"A condition is {NOMINAL} or axis:strength, got {word!r}.") from error
