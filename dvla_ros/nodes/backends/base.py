"""The role of a backend: it takes joint commands to whatever moves the arm."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from dvla_ros.control.execution import Command
from dvla_ros.control.preview import JointPreview


class CommandBackend(Protocol):
    """Sends joint commands, from the control thread: nothing here may block, or wait for another node.

    A class that inherits from this one says only where it differs from what stands here.

    Attributes:
        topics: Fully qualified topics it commands; nobody else may publish there.
        wants_preview: It sends whole trajectories; `send_preview` gets the plan whenever that changed.
        wants_measured: `measured` is called before each `send`.
    """

    topics: tuple[str, ...] = ()
    wants_preview: bool = False
    wants_measured: bool = False

    def send(self, command: Command, now: float) -> None:
        """Send the command of this tick, at the ROS time `now` in seconds."""
        return None

    def send_preview(self, preview: JointPreview, now: float) -> None:
        """Send the plan ahead, before the command of the tick in which it changed."""
        return None

    def measured(self, joints: np.ndarray, now: float) -> None:
        """Note where the arm is, `[6]` in rad."""
        return None

    def problem(self) -> str:
        """Why the arm cannot be commanded now, as `word: sentence`; empty when it can."""
        return ""

    def numbers(self) -> Mapping[str, float]:
        """For diagnostics."""
        return {}

    def rehearse(self) -> None:
        """From now on nothing arrives anywhere (dry run): take for granted what other nodes would have to agree to."""
        return None

    def close(self) -> None:
        """Give back what was taken from the node; called in the thread that spins it, or when none does any more."""
        return None
