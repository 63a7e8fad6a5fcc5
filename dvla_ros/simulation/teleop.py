"""Drive the simulated arm with Bridge actions, one every 0.2 s, in simulated time."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import mujoco
import numpy as np

from dvla_ros.control.bridge import apply_delta, bridge_state, delta_between
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.errors import KinematicsError
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.tasks import Judgement

ACTION_DT = 0.2
"""Seconds per action: Bridge data are recorded at 5 Hz."""
_TICK = 0.02


@dataclass(frozen=True)
class Snapshot:
    """Everything needed to come back to an instant: physics with its contacts, slewed targets, commanded pose."""

    physics: mujoco.MjData
    slew: tuple[np.ndarray, float, np.ndarray, float]
    pose: np.ndarray
    gripper: float
    joints: np.ndarray
    judgement: Judgement


class BridgeArm:
    """Applies Bridge actions to a simulation: delta on the commanded pose, inverse kinematics, joint streaming."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._kinematics = WidowXKinematics()
        self.restart()

    def restart(self) -> None:
        """Command the pose the arm is in; call after a reset of the simulation."""
        self._joints = self.simulation.arm
        self.pose = self._kinematics.forward(self._joints)
        self.gripper = 1.0

    @property
    def state(self) -> np.ndarray:
        """Measured Bridge state `[7]`."""
        return bridge_state(self.simulation.arm, self.simulation.finger)

    def action_towards(self, pose: np.ndarray, gripper: float) -> np.ndarray:
        """Bridge action `[7]` that commands `pose` next."""
        return delta_between(self.pose, pose, self._kinematics.forward(self.simulation.arm), gripper)

    def apply(self, action: np.ndarray, on_time: Callable[[float], None] | None = None) -> None:
        """Execute one action `[7]` over 0.2 s of simulated time; an unreachable pose leaves the arm where it is.

        Args:
            action: Bridge action.
            on_time: Called every 0.02 s with the seconds since the action began.
        """
        measured = self._kinematics.forward(self.simulation.arm)
        pose, gripper = apply_delta(self.pose, measured, action)
        try:
            joints = self._kinematics.inverse(pose, self._joints)
        except KinematicsError:
            pose, joints = self.pose, self._joints
        start, self.pose, self.gripper = self._joints, pose, gripper
        finger = finger_from_gripper(gripper)
        ticks = round(ACTION_DT / _TICK)
        for tick in range(1, ticks + 1):
            self.simulation.set_targets(start + (joints - start) * tick / ticks, finger)
            self.simulation.step(_TICK)
            if on_time is not None:
                on_time(tick * _TICK)
        self._joints = joints

    def save(self) -> Snapshot:
        """Remember this instant."""
        sim = self.simulation
        return Snapshot(
            physics=copy(sim.data),
            slew=sim.slew_state(),
            pose=self.pose.copy(),
            gripper=self.gripper,
            joints=self._joints.copy(),
            judgement=sim.judge(),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Come back to a remembered instant, to the last bit."""
        sim = self.simulation
        mujoco.mj_copyData(sim.data, sim.model, snapshot.physics)
        sim.restore_slew(snapshot.slew, snapshot.judgement)
        self.pose, self.gripper, self._joints = snapshot.pose.copy(), snapshot.gripper, snapshot.joints.copy()
