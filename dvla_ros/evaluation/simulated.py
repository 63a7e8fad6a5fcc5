"""Success of a policy in simulation without ROS: the same policy, chunk controller and scene as the nodes run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.controller import ChunkController, Command, ControllerConfig
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.observation import Observation
from dvla_ros.control.replanning import Ask, ChunkLayout, Replanner, ReplanningConfig
from dvla_ros.control.widowx import finger_from_gripper
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.statistics import percentile, wilson_interval
from dvla_ros.policies.answering import answer_of, predict_for
from dvla_ros.policies.base import Policy, Prediction
from dvla_ros.simulation.appearance import NOMINAL_APPEARANCE, Appearance, DressedCameras
from dvla_ros.simulation.scene import CAMERAS, COLOURS
from dvla_ros.simulation.simulation import Simulation
from dvla_ros.simulation.tasks import ALL_FAMILIES, ALL_TASKS, TASKS, task_named
from dvla_ros.simulation.unseen_phrasings import KINDS, unseen_phrasings

_WIDTH, _HEIGHT = 640, 480


@dataclass(frozen=True)
class SimulateConfig:
    """What to measure.

    Attributes:
        tasks: Task names, run in turn.
        episodes: Number of episodes, spread evenly over the tasks.
        seed: First scene seed; keep it below 1 000 000, where the training scenes begin.
        control_hz: Command rate.
        time_limit: Seconds of simulated time per episode.
        execute_steps: Actions to execute per chunk; 0 takes the policy's own number.
        inference_s: Simulated time that passes while the policy thinks.
        replanning: How chunks follow each other.
        appearance: What the cameras see otherwise than in the demonstrations.
        phrasing: 0 asks by the task's own sentence, 1..3 by one that no demonstration has, see `unseen_phrasings`.
    """

    tasks: tuple[str, ...] = tuple(TASKS)
    episodes: int = 36
    seed: int = 0
    control_hz: float = 50.0
    time_limit: float = 20.0
    execute_steps: int = 0
    inference_s: float = 0.12
    replanning: ReplanningConfig = field(default_factory=lambda: ReplanningConfig(mode="sync", lead_s=0.0))
    appearance: Appearance = NOMINAL_APPEARANCE
    phrasing: int = 0

    def __post_init__(self) -> None:
        if unknown := [name for name in self.tasks if name not in ALL_TASKS] or not self.tasks:
            raise ConfigurationError(f"Unknown tasks {unknown}; known are {', '.join(ALL_TASKS)}.")
        if not 0 <= self.phrasing <= len(KINDS):
            raise ConfigurationError(f"phrasing must be 0..{len(KINDS)}, got {self.phrasing}.")
        if self.episodes < 1 or self.seed < 0 or min(self.control_hz, self.time_limit) <= 0 or self.inference_s < 0:
            raise ConfigurationError(f"episodes, control_hz and time_limit must be positive, seed 0 or more: {self}.")


class EpisodeObserver(Protocol):
    """Watches the commands of episodes as they happen."""

    def restart(self) -> None:
        """A new episode begins."""
        ...

    def commanded(self, now: float, command: Command, waiting: bool) -> None:
        """A command was sent at `now` seconds; `waiting` when no row was being executed."""
        ...

    def dropped(self, now: float) -> None:
        """The controller dropped the rows it had."""
        ...

    def taken_over(self, controller: ChunkController, chunk: ActionChunk, now: float) -> None:
        """The controller accepted the chunk."""
        ...


@dataclass(frozen=True)
class Episode:
    """How one episode went.

    Attributes:
        task: Task name.
        seed: Scene seed.
        outcome: `success`, `wrong_object`, `collision` or `timeout`.
        detail: The colour that was moved by mistake.
        seconds: Simulated time until the outcome.
        nfe: Network evaluations per chunk.
        decode_ms: Wall time of each prediction.
        rejected: Chunks that the safety gate refused.
        malformed: Predictions whose tokens were not what an encoder writes.
    """

    task: str
    seed: int
    outcome: str
    detail: str
    seconds: float
    nfe: tuple[int, ...]
    decode_ms: tuple[float, ...]
    rejected: int
    malformed: int


class SimulatedEpisodes:
    """Runs episodes; create and use in one thread (OpenGL)."""

    def __init__(self, policy: Policy, config: SimulateConfig, observer: EpisodeObserver | None = None) -> None:
        self._policy, self._config, self._observer = policy, config, observer
        self._simulation = Simulation()
        self._cameras = DressedCameras(self._simulation.model, config.appearance, _WIDTH, _HEIGHT)
        spec = policy.spec
        steps = config.execute_steps or spec.execute_steps
        if not 1 <= steps <= spec.horizon:
            raise ConfigurationError(f"execute_steps must be 1..{spec.horizon}, got {steps}.")
        self._layout = ChunkLayout(spec.dt, spec.horizon, steps, spec.mode, spec.action_names)

    def run(self) -> Iterator[Episode]:
        """Each task in turn, each round of tasks with the next scene seed."""
        for index in range(self._config.episodes):
            rounds, position = divmod(index, len(self._config.tasks))
            yield self.episode(self._config.tasks[position], self._config.seed + rounds)

    def episode(self, task: str, seed: int) -> Episode:
        """One episode from reset to outcome or time limit."""
        simulation = self._simulation
        simulation.reset(task, seed)
        self._cameras.restart(seed)
        self._policy.reset()
        if self._observer is not None:
            self._observer.restart()
        run = _Run(
            ChunkController(ControllerConfig(), WidowXKinematics()), Replanner(self._config.replanning, self._layout)
        )
        predictions: list[Prediction] = []
        while self._goes_on():
            self._control(run, run.replanner.look_at(simulation.time))
            if self._goes_on():
                predictions.append(self._replan(run, seed * 1000 + len(predictions)))
        judgement = simulation.judge()
        return Episode(
            task=task,
            seed=seed,
            outcome="timeout" if judgement.outcome == "running" else judgement.outcome,
            detail=judgement.detail,
            seconds=simulation.time,
            nfe=tuple(p.nfe for p in predictions),
            decode_ms=tuple(1e3 * p.timings.total_s for p in predictions),
            rejected=sum(run.controller.statistics.rejected.values()),
            malformed=sum(bool(p.malformed) for p in predictions),
        )

    def close(self) -> None:
        """Free the OpenGL context."""
        self._cameras.close()

    def _goes_on(self) -> bool:
        return self._simulation.judge().outcome == "running" and self._simulation.time < self._config.time_limit

    def _replan(self, run: "_Run", seed: int) -> Prediction:
        """Look, infer while the arm goes on, and hand the chunk over."""
        observation = self._observe()
        ask = run.replanner.ask(observation.stamp, observation.stamp)
        prediction = predict_for(self._policy, observation, replace(ask, deadline_s=None), seed)
        self._control(run, observation.stamp + self._config.inference_s)
        if prediction.usable:
            self._hand_over(run, ask, prediction, observation.stamp)
        else:
            run.replanner.unanswered(self._simulation.time)
            self._control(run, self._simulation.time + self._layout.dt)
        return prediction

    def _hand_over(self, run: "_Run", ask: Ask, prediction: Prediction, anchor: float) -> None:
        now, controller = self._simulation.time, run.controller
        chunk = run.replanner.chunk(ask, answer_of(prediction), anchor, now)
        if not controller.accept(chunk, now).accepted:
            run.replanner.refused(chunk.epoch, chunk.sequence, now)
        elif self._observer is not None:
            self._observer.taken_over(controller, chunk, now)

    def _observe(self) -> Observation:
        simulation = self._simulation
        qpos, mocap = simulation.qpos(), simulation.mocap()
        images = {name: self._cameras.render(qpos, name, mocap) for name in CAMERAS}
        state = bridge_state(simulation.arm, simulation.finger)
        return Observation(simulation.time, images, state, self._sentence())

    def _sentence(self) -> str:
        task, kind = self._simulation.task, self._config.phrasing
        return task.instruction if kind == 0 else unseen_phrasings(task)[kind - 1]

    def _control(self, run: "_Run", until: float) -> None:
        """Let the controller command the arm until a time in seconds."""
        simulation, period = self._simulation, 1.0 / self._config.control_hz
        while simulation.time < until - 1e-6 and self._goes_on():
            command = run.controller.update(simulation.time, simulation.arm, simulation.finger)
            if command is not None:
                simulation.set_targets(command.arm, finger_from_gripper(command.gripper))
                self._report(run, command)
            simulation.step(period)

    def _report(self, run: "_Run", command: Command) -> None:
        statistics = run.controller.statistics
        if statistics.dropped != run.dropped:
            run.dropped = statistics.dropped
            run.replanner.dropped(self._simulation.time)
            if self._observer is not None:
                self._observer.dropped(self._simulation.time)
        if self._observer is not None:
            self._observer.commanded(self._simulation.time, command, statistics.starved_ticks > run.starved)
        run.starved = statistics.starved_ticks


@dataclass
class _Run:
    """What belongs to one episode."""

    controller: ChunkController
    replanner: Replanner
    dropped: int = 0
    starved: int = 0


def summarise(episodes: Sequence[Episode]) -> dict[str, Any]:
    """The figures of `dvla simulate --json`; the first five keys are fixed."""
    successes = sum(e.outcome == "success" for e in episodes)
    families = {f: [e for e in episodes if task_named(e.task).family == f] for f in ALL_FAMILIES}
    return {
        "success_rate": successes / len(episodes),
        "episodes": len(episodes),
        "by_task": {
            name: _rate([e for e in episodes if e.task == name])
            for name in ALL_TASKS
            if any(e.task == name for e in episodes)
        },
        "nfe": float(np.mean([n for e in episodes for n in e.nfe])),
        "decode_ms_p50": percentile([ms for e in episodes for ms in e.decode_ms], 50),
        "decode_ms_p95": percentile([ms for e in episodes for ms in e.decode_ms], 95),
        "wilson_95": wilson_interval(successes, len(episodes)),
        "by_family": {family: _rate(group) for family, group in families.items() if group},
        "pick_confusion": pick_confusion(episodes),
        "seconds_p50": percentile([e.seconds for e in episodes if e.outcome == "success"], 50),
        "chunks_rejected": sum(e.rejected for e in episodes),
        "chunks_malformed": sum(e.malformed for e in episodes),
        "failures": [[e.task, e.seed, e.outcome, e.detail] for e in episodes if e.outcome != "success"],
    }


def _rate(episodes: Sequence[Episode]) -> dict[str, object]:
    successes = sum(e.outcome == "success" for e in episodes)
    return {
        "episodes": len(episodes),
        "successes": successes,
        "success_rate": successes / len(episodes),
        "wilson_95": wilson_interval(successes, len(episodes)),
    }


def pick_confusion(episodes: Sequence[Episode]) -> dict[str, dict[str, int]]:
    """Colour asked for (rows) against colour lifted, or `none` (columns), over the pick tasks."""
    table = {asked: dict.fromkeys((*COLOURS, "none"), 0) for asked in COLOURS}
    for episode in episodes:
        task = task_named(episode.task)
        if task.family == "pick":
            lifted = {"success": task.target, "wrong_object": episode.detail}.get(episode.outcome, "none")
            table[task.target][lifted] += 1
    return table
