"""The simulated robot: physics, limits, reset and judgement."""

from dataclasses import dataclass
from functools import cache

import mujoco
import numpy as np

from dvla_ros.control.description import EE_SITE
from dvla_ros.control.widowx import (
    ARM_JOINTS,
    FINGER_CLOSED,
    FINGER_OPEN,
    FINGER_VELOCITY_LIMIT,
    JOINT_STATE_ORDER,
    LOWER,
    UPPER,
    VELOCITY_LIMIT,
)
from dvla_ros.errors import SimulationError
from dvla_ros.simulation.placement import place_objects, start_configuration
from dvla_ros.simulation.scene import COLOURS, TIMESTEP, build_model
from dvla_ros.simulation.tasks import Judgement, SceneState, Task, task_named

_SETTLE_S = 0.2
_HAND = ("left_pad", "right_pad", "palm")
_PLATE, _POST = 0, 1
"""Numbers of the movable fixtures."""
# The gripper motor turns about 2.5 rad over the stroke of the fingers.
_GRIPPER_RAD_PER_M = 113.0


@dataclass(frozen=True)
class JointState:
    """Joint names with positions (rad, m), velocities (1/s) and efforts (N m, N), each `[9]`, in the driver's order."""

    names: tuple[str, ...]
    positions: np.ndarray
    velocities: np.ndarray
    efforts: np.ndarray


@cache
def _shared_model() -> mujoco.MjModel:
    return build_model()


class Simulation:
    """One WidowX 250s on a table with cubes and a plate, in simulated time; deterministic for a given seed.

    Not thread-safe: the owner serialises calls. Position targets are slewed at the arm's true velocity limits and
    clipped to its joint limits, as the servos do.
    """

    def __init__(self, task: str = "pick_red", seed: int = 0) -> None:
        self.model = _shared_model()
        self.data = mujoco.MjData(self.model)
        self._arm = np.array([self.model.joint(name).qposadr[0] for name in ARM_JOINTS])
        self._arm_dof = np.array([self.model.joint(name).dofadr[0] for name in ARM_JOINTS])
        self._fingers = np.array([self.model.joint(f"{side}_finger").qposadr[0] for side in ("left", "right")])
        self._finger_dof = np.array([self.model.joint(f"{side}_finger").dofadr[0] for side in ("left", "right")])
        self._cube = {colour: int(self.model.joint(colour).qposadr[0]) for colour in COLOURS}
        self._geom = {int(self.model.geom(name).id): name for name in (*COLOURS, *_HAND, "post")}
        self.task: Task = task_named(task)
        self.seed = seed
        self.reset(task, seed)

    def reset(self, task: str, seed: int) -> None:
        """Lay the scene out anew and put the arm at a start pose drawn from `seed`.

        Raises:
            SimulationError: The task does not exist or the seed is negative.
        """
        if seed < 0:
            raise SimulationError(f"The seed of a scene must be 0 or more, got {seed}.")
        self.task, self.seed = task_named(task), seed
        rng = np.random.default_rng([seed, *self.task.name.encode()])
        mujoco.mj_resetData(self.model, self.data)
        layout = place_objects(self.task, rng)
        for colour, pose in layout.cubes.items():
            self.data.qpos[self._cube[colour] : self._cube[colour] + 7] = pose
        self.data.mocap_pos[_PLATE] = layout.plate
        self._has_post = layout.post is not None
        if layout.post is not None:
            self.data.mocap_pos[_POST] = layout.post
        self._put_arm(start_configuration(rng) if layout.start is None else layout.start, FINGER_OPEN)
        mujoco.mj_step(self.model, self.data, round(_SETTLE_S / TIMESTEP))
        self.data.time = 0.0
        self._initial = self.scene_state()
        self._latched: Judgement | None = None

    def _put_arm(self, arm: np.ndarray, finger: float) -> None:
        self._target_arm, self._target_finger = arm.copy(), finger
        self._slewed_arm, self._slewed_finger = arm.copy(), finger
        self.data.qpos[self._arm] = arm
        self.data.qpos[self._fingers] = (finger, -finger)
        self._write_controls()
        mujoco.mj_forward(self.model, self.data)

    @property
    def time(self) -> float:
        """Seconds of simulated time since the reset."""
        return float(self.data.time)

    @property
    def targets(self) -> tuple[np.ndarray, float]:
        """The position targets set last: arm `[6]` rad, left finger m."""
        return self._target_arm.copy(), self._target_finger

    def set_targets(self, arm: np.ndarray, finger: float) -> None:
        """Command positions: arm `[6]` rad, `left_finger` m; clipped to the joint limits.

        Raises:
            SimulationError: A value is not finite or the arm has not six values; the old target stays.
        """
        arm = np.asarray(arm, dtype=float)
        if arm.shape != (6,) or not np.isfinite(arm).all() or not np.isfinite(finger):
            raise SimulationError(
                f"Joint targets must be six finite angles and a finger position, got {arm}, {finger}."
            )
        self._target_arm = np.clip(arm, LOWER, UPPER)
        self._target_finger = float(np.clip(finger, FINGER_CLOSED, FINGER_OPEN))

    def step(self, seconds: float) -> None:
        """Advance simulated time by `seconds`, a multiple of the physics step (4 ms) within rounding."""
        for _ in range(max(1, round(seconds / TIMESTEP))):
            self._slew()
            mujoco.mj_step(self.model, self.data)
        if self._latched is None:
            self._judge()

    def slew_state(self) -> tuple[np.ndarray, float, np.ndarray, float]:
        """Targets and slewed targets, to be given back to `restore_slew`."""
        return self._target_arm.copy(), self._target_finger, self._slewed_arm.copy(), self._slewed_finger

    def restore_slew(self, slew: tuple[np.ndarray, float, np.ndarray, float], judgement: Judgement) -> None:
        """Bring back the targets and the judgement of an earlier instant; the physics is the caller's."""
        arm, self._target_finger, slewed, self._slewed_finger = slew
        self._target_arm, self._slewed_arm = arm.copy(), slewed.copy()
        self._latched = None if judgement.outcome == "running" else judgement

    def _slew(self) -> None:
        reach = VELOCITY_LIMIT * TIMESTEP
        self._slewed_arm += np.clip(self._target_arm - self._slewed_arm, -reach, reach)
        reach_finger = FINGER_VELOCITY_LIMIT * TIMESTEP
        self._slewed_finger += min(max(self._target_finger - self._slewed_finger, -reach_finger), reach_finger)
        self._write_controls()

    def _write_controls(self) -> None:
        self.data.ctrl[:6] = self._slewed_arm
        self.data.ctrl[6:8] = (self._slewed_finger, -self._slewed_finger)

    @property
    def arm(self) -> np.ndarray:
        """Measured arm joint positions `[6]` in rad."""
        return self.data.qpos[self._arm].copy()

    @property
    def finger(self) -> float:
        """Measured `left_finger` position in m; the mean of both fingers, which the real gripper couples."""
        left, right = self.data.qpos[self._fingers]
        return float(left - right) / 2.0

    def joint_state(self) -> JointState:
        """What the driver publishes as `joint_states`: nine joints in the Interbotix order."""
        positions, velocities, efforts = np.zeros(9), np.zeros(9), np.zeros(9)
        positions[:6], positions[7:] = self.arm, (self.finger, -self.finger)
        positions[6] = _GRIPPER_RAD_PER_M * (self.finger - FINGER_CLOSED) - 1.25
        velocities[:6] = self.data.qvel[self._arm_dof]
        velocities[7:] = self.data.qvel[self._finger_dof]
        velocities[6] = _GRIPPER_RAD_PER_M * velocities[7]
        efforts[:6] = self.data.qfrc_actuator[self._arm_dof]
        efforts[7:] = self.data.qfrc_actuator[self._finger_dof]
        return JointState(JOINT_STATE_ORDER, positions, velocities, efforts)

    def qpos(self) -> np.ndarray:
        """Copy of all generalised positions `[nq]`, for rendering elsewhere."""
        return self.data.qpos.copy()

    def mocap(self) -> np.ndarray:
        """Copy of the fixtures' poses `[nmocap, 7]` (position m, quaternion wxyz), for rendering elsewhere."""
        return np.concatenate([self.data.mocap_pos, self.data.mocap_quat], axis=1)

    def scene_state(self) -> SceneState:
        """True poses of everything a task judges, in the base frame."""
        touching = self._touching()
        return SceneState(
            cubes={c: self.data.qpos[a : a + 3].copy() for c, a in self._cube.items()},
            yaws={c: _yaw(self.data.qpos[a + 3 : a + 7]) for c, a in self._cube.items()},
            plate=self.data.mocap_pos[_PLATE].copy(),
            held=frozenset(c for c in COLOURS if {(c, "left_pad"), (c, "right_pad")} <= touching),
            touched=frozenset(c for c, pad in touching if c in COLOURS and pad.endswith("_pad")),
            speed=float(np.abs(self.data.qvel[self._cube_dofs()]).max()),
            tool=self.data.site(EE_SITE).xpos.copy(),
            post=self.data.mocap_pos[_POST].copy() if self._has_post else None,
            bumped=any(("post", part) in touching for part in _HAND),
        )

    def _cube_dofs(self) -> np.ndarray:
        return np.concatenate([np.arange(a, a + 3) for a in (self.model.joint(c).dofadr[0] for c in COLOURS)])

    def _touching(self) -> set[tuple[str, str]]:
        pairs: set[tuple[str, str]] = set()
        for first, second in self.data.contact.geom[: self.data.ncon]:
            a, b = self._geom.get(int(first)), self._geom.get(int(second))
            if a and b:
                pairs |= {(a, b), (b, a)}
        return pairs

    def _judge(self) -> None:
        judgement = self.task.judge(self._initial, self.scene_state())
        if judgement.outcome != "running":
            self._latched = judgement

    def judge(self) -> Judgement:
        """Outcome of the episode so far; all but `running` stay until the next reset."""
        return self._latched or Judgement("running", "")


def _yaw(quat: np.ndarray) -> float:
    """Yaw in rad of a cube with this wxyz quaternion, whichever face is up: that of its most horizontal axis."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    axes = matrix.reshape(3, 3)
    axis = axes[:, np.argmin(np.abs(axes[2]))]
    return float(np.arctan2(axis[1], axis[0]))
