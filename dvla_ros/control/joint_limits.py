"""The limits of the joints as a URDF states them."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass

from dvla_ros.control.widowx import ARM_JOINTS
from dvla_ros.errors import ConfigurationError


@dataclass(frozen=True)
class JointLimits:
    """Range and speed of each joint, in the order in which the joints were asked for.

    Attributes:
        lower: rad.
        upper: rad.
        velocity: rad/s.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    velocity: tuple[float, ...]


def limits_from_urdf(urdf: str, joints: Sequence[str] = ARM_JOINTS) -> JointLimits:
    """The element `limit` of each joint; accelerations are not part of the format.

    Args:
        urdf: Text of an expanded URDF, such as `description.widowx_urdf()` or the topic `robot_description`.
        joints: Names of the joints.

    Raises:
        ConfigurationError: The text is no XML, or a joint is missing or has no limits.
    """
    try:
        root = ElementTree.fromstring(urdf)
    except ElementTree.ParseError as error:
        raise ConfigurationError(f"The robot description is no XML: {error}.") from None
    found = {joint.get("name"): joint.find("limit") for joint in root.findall("joint")}
    return JointLimits(
        lower=tuple(_number(found.get(name), name, "lower") for name in joints),
        upper=tuple(_number(found.get(name), name, "upper") for name in joints),
        velocity=tuple(_number(found.get(name), name, "velocity") for name in joints),
    )


def _number(limit: ElementTree.Element | None, joint: str, attribute: str) -> float:
    value = None if limit is None else limit.get(attribute)
    if value is None:
        raise ConfigurationError(f"The robot description states no {attribute} limit of joint '{joint}'.")
    return float(value)
