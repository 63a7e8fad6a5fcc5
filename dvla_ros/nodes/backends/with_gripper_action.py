"""An arm's backend and the gripper's action as one backend."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from dvla_ros.control.execution import Command
from dvla_ros.control.preview import JointPreview
from dvla_ros.nodes.backends.base import CommandBackend


class Gripper(Protocol):
    """Takes the gripper's part of a command."""

    def send(self, gripper: float) -> None:
        """Take an opening, 0 closed .. 1 open; return at once."""

    def problem(self) -> str:
        """Why the gripper cannot be commanded now; empty when it can."""

    def close(self) -> None:
        """Give back what was taken from the node."""


class WithGripperAction(CommandBackend):
    """An arm's backend beside a gripper's action.

    Args:
        arm: A backend that leaves the gripper alone.
        gripper: Takes the gripper's part of each command.
    """

    def __init__(self, arm: CommandBackend, gripper: Gripper) -> None:
        self._arm, self._gripper = arm, gripper
        self.topics = arm.topics
        self.wants_preview, self.wants_measured = arm.wants_preview, arm.wants_measured

    def send(self, command: Command, now: float) -> None:
        """Send the arm's part and the gripper's."""
        self._arm.send(command, now)
        self._gripper.send(command.gripper)

    def send_preview(self, preview: JointPreview, now: float) -> None:
        """Send the arm's plan."""
        self._arm.send_preview(preview, now)

    def measured(self, joints: np.ndarray, now: float) -> None:
        """Pass on where the arm is."""
        self._arm.measured(joints, now)

    def numbers(self) -> Mapping[str, float]:
        """What the arm's backend says of itself."""
        return self._arm.numbers()

    def rehearse(self) -> None:
        """Let the arm's backend rehearse."""
        self._arm.rehearse()

    def problem(self) -> str:
        """The arm's problem, or else the gripper's."""
        return self._arm.problem() or self._gripper.problem()

    def close(self) -> None:
        """Close both."""
        self._gripper.close()
        self._arm.close()
