"""What a policy would see along the way of the scripted expert, and what the expert would do from there."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dvla_ros.control.observation import Observation
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.expert import Expert, draw_style, yaw_of
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.teleop import BridgeArm

_WIDTH, _HEIGHT = 640, 480
_REST_S = 0.12


@dataclass(frozen=True)
class ExpertFrame:
    """One instant.

    Attributes:
        task: Task name.
        seed: Scene seed.
        action: How many actions of the expert came before.
        observation: What the policy would see.
        actions: float64 `[H, 7]`, the expert's next Bridge actions.
    """

    task: str
    seed: int
    action: int
    observation: Observation
    actions: np.ndarray


class ExpertFrames:
    """Drives the expert; create and use in one thread (OpenGL)."""

    def __init__(self) -> None:
        self._simulation = Simulation()
        self._arm = BridgeArm(self._simulation)
        self._rig = CameraRig(self._simulation.model, _WIDTH, _HEIGHT)

    def episode(self, task: str, seed: int, *, frames: int, spacing: int, horizon: int) -> Iterator[ExpertFrame]:
        """The first instant of an episode, and those after every `spacing` actions.

        Args:
            task: Task name.
            seed: Scene seed, also of the expert's style.
            frames: How many instants.
            spacing: Actions between them.
            horizon: H of the expert's chunks.
        """
        simulation, arm = self._simulation, self._arm
        simulation.reset(task, seed)
        arm.restart()
        rng = np.random.default_rng(seed)
        expert = Expert(simulation.task, draw_style(simulation.task, simulation.scene_state(), yaw_of(arm.pose), rng))
        for index in range(frames):
            simulation.step(_REST_S)
            observation = self._observe()
            yield ExpertFrame(task, seed, index * spacing, observation, self._ahead(expert, horizon))
            for _ in range(spacing):
                self._act(expert)

    def _act(self, expert: Expert) -> np.ndarray:
        action = expert.action(self._arm)
        self._arm.apply(action)
        return action

    def _ahead(self, expert: Expert, horizon: int) -> np.ndarray:
        """The next actions, found by simulating ahead and coming back."""
        snapshot = self._arm.save()
        actions = np.stack([self._act(expert) for _ in range(horizon)])
        self._arm.restore(snapshot)
        return actions

    def _observe(self) -> Observation:
        simulation = self._simulation
        qpos, mocap = simulation.qpos(), simulation.mocap()
        images = {name: self._rig.render(qpos, name, mocap) for name in CAMERAS}
        return Observation(simulation.time, images, self._arm.state, simulation.task.instruction)
