"""The scripted expert in the place of a policy: it plays whole episodes of the simulated scene, as one chunk each."""

from collections.abc import Callable

import numpy as np
import torch

from dvla_ros.control.bridge import clip_action
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.observation import Observation
from dvla_ros.control.rotation import euler_from_matrix
from dvla_ros.errors import ActionError
from dvla_ros.policies.base import Guess, PolicySpec, Prediction, Timings
from dvla_ros.simulation.expert import Expert, draw_style, yaw_of
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.tasks import task_for_instruction
from dvla_ros.simulation.teleop import ACTION_DT, BridgeArm

HORIZON = 60
"""Rows of a chunk; a way that is longer ends there."""
_NAMES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
_AFTER_SUCCESS = 3
_NOISE_M = 0.005
"""Largest standard deviation (m) of the noise on each action; each episode draws its own below it, often 0."""
_BEFORE_GRIPPER, _WITH_GRIPPER = 1, 2
"""Rows at rest before and while the gripper moves: a controller may come after the rehearsal."""
_GRIPPER_M = 0.05
"""A row that wants the fingers the other way is as far from the arm as one so far away."""
_STREAM = 11
_NO_TIME = Timings(0.0, 0.0, 0.0, 0.0)


class Demonstrator:
    """Rehearses the episode in a simulation of its own, and answers with the whole way at once, in poses.

    The scene follows from task and seed alone, so the rehearsal is what the robot's simulation will do, and nothing is
    seen through the cameras. Poses, unlike increments, do not add up what the arm did otherwise. Asked again in the
    same run, because rows were dropped, it goes on with the row that is nearest to the arm.

    Args:
        scene: Task name and seed of the scene that the robot is in.
    """

    def __init__(self, scene: Callable[[], tuple[str, int]]) -> None:
        self.spec = PolicySpec("expert", CAMERAS, 7, _NAMES, ControlMode.EE_POSE, HORIZON, HORIZON, ACTION_DT)
        self.network = None
        self.device = torch.device("cpu")
        self._scene = scene
        self._simulation = Simulation()
        self._arm = BridgeArm(self._simulation)
        self._rehearsed: tuple[str, int] | None = None
        self._way, self._began = np.empty((0, 7)), 0.0

    def reset(self) -> None:
        """A new run."""
        self._rehearsed = None

    def predict(
        self,
        observation: Observation,
        *,
        frozen_actions: np.ndarray | None = None,
        seed: int | None = None,
        deadline_s: float | None = None,
        warm_start: Guess | None = None,
        needed_steps: int | None = None,
    ) -> Prediction:
        """The episode's way; see `Policy.predict`. Scene and task decide the style, not `seed`.

        Raises:
            ActionError: There are frozen rows, and an expert that plays a whole episode begins at rest; or the sentence
                is of another task than the scene's.
            SimulationError: The sentence is no simulated task's.
        """
        if frozen_actions is not None and len(frozen_actions):
            raise ActionError("The scripted expert begins at rest and takes no frozen rows; use replanning:=sync.")
        task, number = self._scene()
        asked = task_for_instruction(observation.instruction).name
        if asked != task:
            raise ActionError(f"The scene is laid out for {task}, asked for is {asked}; reset it to that task.")
        if self._rehearsed != (task, number):
            self._way, self._began = self.rehearse(task, number), observation.stamp
            self._rehearsed = (task, number)
        rows = self._from_here(observation)
        return Prediction(
            actions=rows.astype(np.float32),
            tokens=np.empty((0, 0), np.int32),
            confidence=np.ones((HORIZON, 7), np.float32),
            trace=(),
            mask_token=-1,
            nfe=0,
            timings=_NO_TIME,
        )

    def _from_here(self, observation: Observation) -> np.ndarray:
        """The rest of the way `[H, 7]`, from the row nearest to the arm among those that were due by now."""
        due = int(np.clip((observation.stamp - self._began) / ACTION_DT, 0, HORIZON - 1)) + 1
        beside = np.linalg.norm(self._way[:due, :3] - observation.state[:3], axis=1)
        wrong = _GRIPPER_M * np.abs(self._way[:due, 6] - observation.state[6])
        nearest = due - 1 - int(np.argmin((beside + wrong)[::-1]))
        rest = self._way[nearest:]
        return np.concatenate([rest, np.tile(rest[-1], (HORIZON - len(rest), 1))])

    def rehearse(self, task: str, seed: int) -> np.ndarray:
        """Rows `[H, 7]` of poses and gripper openings to the success in this scene; the last one is repeated."""
        simulation, arm = self._simulation, self._arm
        simulation.reset(task, seed)
        arm.restart()
        rng = np.random.default_rng([seed, _STREAM])
        expert = Expert(simulation.task, draw_style(simulation.task, simulation.scene_state(), yaw_of(arm.pose), rng))
        noise = max(0.0, rng.uniform(-0.4, 1.0)) * _NOISE_M
        rows: list[np.ndarray] = []
        remaining = _AFTER_SUCCESS
        while len(rows) < HORIZON and remaining > 0:
            action = expert.action(arm)
            if action[6] != arm.gripper:
                rows += [self._do(_rest(arm.gripper)) for _ in range(_BEFORE_GRIPPER)]
                rows += [self._do(_rest(action[6])) for _ in range(_WITH_GRIPPER)]
            else:
                action[:3] += rng.normal(0.0, noise, 3)
                action[5] += rng.normal(0.0, 5.0 * noise)
                rows.append(self._do(clip_action(action)))
            remaining -= simulation.judge().outcome != "running"
        rows = rows[:HORIZON]
        return np.stack(rows + [rows[-1]] * (HORIZON - len(rows)))

    def _do(self, action: np.ndarray) -> np.ndarray:
        """The row `[7]` of what the arm is commanded with this action."""
        arm = self._arm
        arm.apply(action)
        return np.array([*arm.pose[:3, 3], *euler_from_matrix(arm.pose[:3, :3]), arm.gripper])


def _rest(gripper: float) -> np.ndarray:
    """The action `[7]` that leaves the arm where it is."""
    return np.array([0.0] * 6 + [gripper])
