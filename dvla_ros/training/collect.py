"""Make demonstrations in simulation: the expert labels, the expert or a policy drives, with disturbances."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from dvla_ros.control.bridge import clip_action
from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.base import Policy
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.expert import Expert, draw_style, plain_style, yaw_of
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.tasks import FAMILIES, FIRST_TRAINING_SEED, TASKS, PutOnPlate, Stack, Task, task_named
from dvla_ros.simulation.teleop import ACTION_DT, BridgeArm
from dvla_ros.training.shard import FUTURE_SIZE, HORIZON, Frame, Manifest, write_shard

IMAGE_SIZE = (128, 96)
"""Width and height of stored images."""
_SUPERSAMPLE = 3
_MAX_STEPS = 50
_STEPS_AFTER_SUCCESS = 3
_REST_S = (0.10, 0.30)
_LAG_S = (0.04, 0.16)
"""When, after a row of a moving arm began, the cameras see about where it began."""
_MOST_FROZEN, _LEFT_TO_DECIDE = 5, 3
"""Actions of a label that may be decided already, and how many at least are not."""
_SHORTEST = _LEFT_TO_DECIDE + 1
_NEW_STYLE = 0.3


@dataclass(frozen=True)
class CollectConfig:
    """How many demonstrations and how rough.

    Attributes:
        out: Folder to write shards into.
        episodes: Number of episodes.
        seed: First episode's number; episode i uses scene seed `1_000_000 + seed + i`.
        noise_m: Largest standard deviation (m) of the noise per action; each episode draws its own below it, often 0.
        kick_probability: Per action, of a shove of up to 5 cm.
        slip_probability: Per action, of a gripper command that is the wrong way round.
        moving: Share of episodes in which the arm never rests: pictures are taken while it moves, and the first actions
            of a label are those that it is executing (in-painting).
        horizon: Actions of each frame's label.
        one_way: The expert always takes the grasp that is nearest now, straight and all at once, instead of one of many
            ways that it draws for each episode.
        weights: Share of each task family, in the order pick, put, stack, push.
        tasks: Task names, all alike often, instead of all tasks of those families by `weights`.
        episodes_per_shard: Size of one shard.
    """

    out: Path
    episodes: int = 100
    seed: int = 0
    noise_m: float = 0.006
    kick_probability: float = 0.05
    slip_probability: float = 0.01
    moving: float = 0.5
    one_way: bool = False
    horizon: int = HORIZON
    weights: tuple[float, float, float, float] = (0.25, 0.25, 0.30, 0.20)
    episodes_per_shard: int = 50
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.episodes, self.episodes_per_shard) < 1 or self.seed < 0:
            raise ConfigurationError(
                "episodes and episodes_per_shard must be 1 or more and seed 0 or more, got "
                f"{self.episodes}, {self.episodes_per_shard} and {self.seed}."
            )
        if self.horizon < _SHORTEST:
            raise ConfigurationError(f"horizon must be {_SHORTEST} or more actions, got {self.horizon}.")
        for name in ("kick_probability", "slip_probability", "moving"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationError(f"{name} must lie in 0..1, got {getattr(self, name)}.")
        if not self.noise_m >= 0.0:
            raise ConfigurationError(f"noise_m must be 0 or more, got {self.noise_m}.")
        if len(self.weights) != len(FAMILIES) or min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ConfigurationError(f"weights needs {len(FAMILIES)} shares >= 0 for {FAMILIES}, got {self.weights}.")
        for name in self.tasks:
            task_named(name)


class _Once:
    """Takes one frame, at the first call that is late enough."""

    def __init__(self, at: float, take: Callable[[], Frame]) -> None:
        self._at, self._take = at, take
        self.frame: Frame | None = None

    def __call__(self, elapsed: float) -> None:
        if self.frame is None and elapsed >= self._at:
            self.frame = self._take()


class Collector:
    """Runs episodes and yields labelled frames; create and use in one thread (OpenGL)."""

    def __init__(self, config: CollectConfig, policy: Policy | None = None) -> None:
        self._config, self._policy = config, policy
        self._simulation = Simulation()
        self._arm = BridgeArm(self._simulation)
        width, height = IMAGE_SIZE
        self._rig = CameraRig(self._simulation.model, width * _SUPERSAMPLE, height * _SUPERSAMPLE)
        self._names = list(config.tasks or TASKS)

    def manifest(self) -> Manifest:
        """What the frames of this collector mean."""
        source = self._policy.spec.system if self._policy else "expert"
        sentences = tuple(task_named(name).instruction for name in self._names)
        config, names = self._config, tuple(self._names)
        return Manifest(CAMERAS, sentences, names, ACTION_DT, config.seed, source, horizon=config.horizon)

    def episode(self, number: int) -> tuple[list[Frame], bool]:
        """One episode's frames and whether it ended in success."""
        rng = np.random.default_rng([number, 7])
        task = self._draw_task(rng)
        self._simulation.reset(task.name, FIRST_TRAINING_SEED + number)
        self._arm.restart()
        expert = self._expert(task, rng)
        noise = max(0.0, rng.uniform(-0.4, 1.0)) * self._config.noise_m
        moving = rng.random() < self._config.moving
        drive = self._drive_on if moving else self._drive_and_rest
        frames: list[Frame] = []
        remaining = _STEPS_AFTER_SUCCESS
        for frame in drive(task, expert, noise, number, rng):
            frames.append(frame)
            remaining -= self._simulation.judge().outcome != "running"
            if remaining < 0:
                break
        return frames, self._simulation.judge().outcome == "success"

    def _drive_and_rest(
        self, task: Task, expert: Expert, noise: float, number: int, rng: np.random.Generator
    ) -> Iterator[Frame]:
        """One frame per action, of an arm at rest."""
        plan: Iterator[np.ndarray] = iter(())
        for _ in range(_MAX_STEPS):
            self._rest(rng)
            expert = self._in_a_fitting_style(task, expert, rng)
            frame = self._frame(task, *self._label(expert, ()), number)
            action = next(plan, None)
            if action is None:
                plan = iter(self._drive(task, frame, 1, rng))
                action = next(plan)
            self._arm.apply(self._disturbed(action, noise, rng))
            yield frame

    def _drive_on(
        self, task: Task, expert: Expert, noise: float, number: int, rng: np.random.Generator
    ) -> Iterator[Frame]:
        """One frame per action, of an arm that goes on; up to five actions ahead are decided when it is seen."""
        decided: list[np.ndarray] = []
        most = min(_MOST_FROZEN, self._config.horizon - _LEFT_TO_DECIDE)
        for _ in range(_MAX_STEPS):
            expert = self._in_a_fitting_style(task, expert, rng)
            ahead = decided[: rng.integers(1, most + 1)]
            frame = partial(self._frame, task, *self._label(expert, ahead), number, len(ahead))
            look = _Once(rng.uniform(*_LAG_S), frame)
            if ahead:
                self._arm.apply(ahead[0], look)
            else:
                look(_LAG_S[1])
            assert look.frame is not None
            more = self._drive(task, look.frame, 2, rng)
            decided = ahead[1:] + [clip_action(self._disturbed(action, noise, rng)) for action in more]
            yield look.frame

    def _draw_task(self, rng: np.random.Generator) -> Task:
        if self._config.tasks:
            return task_named(str(rng.choice(self._names)))
        weights = np.array(self._config.weights) / sum(self._config.weights)
        family = FAMILIES[rng.choice(len(FAMILIES), p=weights)]
        return TASKS[str(rng.choice([name for name in self._names if TASKS[name].family == family]))]

    def _rest(self, rng: np.random.Generator) -> None:
        """Let the arm come to rest, as before the first chunk, and before every one when replanning waits for it."""
        self._simulation.step(float(rng.uniform(*_REST_S)))

    def _in_a_fitting_style(self, task: Task, expert: Expert, rng: np.random.Generator) -> Expert:
        """The expert, sometimes another: a policy may have left the way of the style drawn at first."""
        if self._config.one_way or (self._policy is not None and rng.random() < _NEW_STYLE):
            return self._expert(task, rng, other_grasp=0.0)
        return expert

    def _expert(self, task: Task, rng: np.random.Generator, **style: float) -> Expert:
        scene, yaw = self._simulation.scene_state(), yaw_of(self._arm.pose)
        if self._config.one_way:
            return Expert(task, plain_style(task, scene, yaw))
        return Expert(task, draw_style(task, scene, yaw, rng, **style))

    def _drive(self, task: Task, frame: Frame, count: int, rng: np.random.Generator) -> list[np.ndarray]:
        """The actions to execute after those decided: `count` of the expert's own, or some of a policy's chunk."""
        own = list(frame.actions[frame.frozen : frame.frozen + count])
        if self._policy is None:
            return own
        images = dict(zip(CAMERAS, frame.images, strict=True))
        observation = Observation(self._simulation.time, images, frame.state.astype(float), task.instruction)
        frozen = frame.actions[: frame.frozen].astype(np.float32) if frame.frozen else None
        last = frame.frozen + int(rng.integers(1, self._policy.spec.execute_steps + 1))
        seed = int(rng.integers(2**31))
        prediction = self._policy.predict(observation, frozen_actions=frozen, needed_steps=last, seed=seed)
        return list(prediction.actions[frame.frozen : last]) if prediction.usable else own

    def _disturbed(self, action: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
        action = action.astype(float).copy()
        action[:3] += rng.normal(0.0, noise, 3)
        action[5] += rng.normal(0.0, 5.0 * noise)
        if rng.random() < self._config.kick_probability:
            action[:3] = rng.uniform(-0.05, 0.05, 3) * [1.0, 1.0, 0.6]
            action[5] = rng.uniform(-0.25, 0.25)
        if rng.random() < self._config.slip_probability:
            action[6] = 1.0 - action[6]
        return action

    def _frame(self, task: Task, actions: np.ndarray, futures: np.ndarray, number: int, frozen: int = 0) -> Frame:
        qpos = self._simulation.qpos()
        images = self._pictures(IMAGE_SIZE)
        points = self._points(task)
        size = np.array([self._rig.width, self._rig.height])
        pixels = np.stack([np.nan_to_num(self._rig.project(qpos, c, points) / size, nan=-1.0) for c in CAMERAS])
        return Frame(
            images=images,
            state=self._arm.state,
            actions=actions,
            instruction=self._names.index(task.name),
            pixels=np.clip(pixels, -1, 2),
            points=points,
            futures=futures,
            episode=number,
            frozen=frozen,
        )

    def _pictures(self, size: tuple[int, int]) -> np.ndarray:
        """What all cameras see now, uint8 `[C, h, w, 3]`, averaged down to `size` (width, height)."""
        qpos, mocap = self._simulation.qpos(), self._simulation.mocap()
        return np.stack(
            [cv2.resize(self._rig.render(qpos, c, mocap), size, interpolation=cv2.INTER_AREA) for c in CAMERAS]
        )

    def _points(self, task: Task) -> np.ndarray:
        scene = self._simulation.scene_state()
        target = scene.cubes[task.target]
        place = (
            scene.plate
            if isinstance(task, PutOnPlate)
            else scene.cubes[task.base]
            if isinstance(task, Stack)
            else target
        )
        return np.stack([target, place])

    def _label(self, expert: Expert, decided: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The actions that are decided, the expert's after them without disturbances, and what the cameras see then.

        Found by simulating ahead and coming back.
        """
        snapshot = self._arm.save()
        actions = np.empty((self._config.horizon, 7))
        for index, row in enumerate(actions):
            if index < len(decided):
                row[:] = decided[index]
                self._arm.apply(row)
                continue
            row[:] = expert.action(self._arm)
            self._arm.apply(row)
        futures = self._pictures(FUTURE_SIZE)
        self._arm.restore(snapshot)
        return actions, futures


def collect(config: CollectConfig, policy: Policy | None = None) -> Iterator[tuple[int, int, int]]:
    """Write all shards; yields (episodes done, frames so far, successes so far) after each episode."""
    collector = Collector(config, policy)
    manifest = collector.manifest()
    pending: list[Frame] = []
    total = successes = 0
    for index in range(config.episodes):
        frames, success = collector.episode(config.seed + index)
        pending += frames
        total, successes = total + len(frames), successes + success
        last = index + 1 == config.episodes
        if last or (index + 1) % config.episodes_per_shard == 0:
            write_shard(config.out / f"shard-{config.seed + index:07d}", manifest, pending)
            pending = []
        yield index + 1, total, successes
