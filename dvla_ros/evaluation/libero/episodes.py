"""Episodes of a policy in LIBERO, run as the published evaluations run them."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.libero.conventions import ACTION_WIDTH, controller_rows
from dvla_ros.evaluation.libero.policy_view import PolicyView
from dvla_ros.evaluation.libero.simulator import LiberoSimulator, SuiteFacts
from dvla_ros.evaluation.libero.suites import INITIAL_STATES, SETTLE_STEPS, suite_named
from dvla_ros.policies.base import Policy, Prediction

_SMALLEST_PICTURE = 16


@dataclass(frozen=True)
class LiberoPlan:
    """How episodes of a suite are run.

    Attributes:
        suite: Its name.
        tasks: Numbers of tasks from 0; () for all.
        episodes: Of each task: its first initial states, in their order.
        seed: Of the policy's answers, and of what an initial state leaves open.
        max_steps: Commands of an episode; 0 for the suite's published number.
        execute_steps: Rows of a chunk to execute before the next look; 0 for the policy's own number.
        whole_chunks: Execute all of them instead.
        camera_size: Side of the pictures in pixels.
        rotate: Whether pictures are turned by 180 degrees.

    Raises:
        ConfigurationError: A value is unknown or out of range.
    """

    suite: str = "libero_spatial"
    tasks: tuple[int, ...] = ()
    episodes: int = INITIAL_STATES
    seed: int = 0
    max_steps: int = 0
    execute_steps: int = 0
    whole_chunks: bool = False
    camera_size: int = 256
    rotate: bool = True

    def __post_init__(self) -> None:
        count = suite_named(self.suite).tasks
        if unknown := [task for task in self.tasks if not 0 <= task < count]:
            raise ConfigurationError(f"{self.suite} has the tasks 0..{count - 1}, got {unknown}.")
        if not 1 <= self.episodes <= INITIAL_STATES:
            raise ConfigurationError(
                f"episodes must be 1..{INITIAL_STATES}, one for each initial state, got {self.episodes}."
            )
        if self.camera_size < _SMALLEST_PICTURE:
            raise ConfigurationError(f"camera_size must be {_SMALLEST_PICTURE} or more, got {self.camera_size}.")
        if min(self.seed, self.max_steps, self.execute_steps) < 0:
            raise ConfigurationError(f"seed, max_steps and execute_steps must be 0 or more: {self}.")
        if self.execute_steps and self.whole_chunks:
            raise ConfigurationError("Say execute_steps or whole_chunks, not both.")

    @property
    def steps(self) -> int:
        """Commands of an episode."""
        return self.max_steps or suite_named(self.suite).max_steps

    @property
    def scenes(self) -> list[tuple[int, int]]:
        """Task and initial state of every episode, task by task."""
        tasks = self.tasks or range(suite_named(self.suite).tasks)
        return [(task, state) for task in dict.fromkeys(tasks) for state in range(self.episodes)]

    def rows_of(self, horizon: int, own: int) -> int:
        """Rows of a chunk to execute, of a policy with so many rows that would itself execute `own`.

        Raises:
            ConfigurationError: More are asked for than a chunk has.
        """
        if self.execute_steps > horizon:
            raise ConfigurationError(f"execute_steps must be 1..{horizon}, got {self.execute_steps}.")
        return horizon if self.whole_chunks else self.execute_steps or own


@dataclass(frozen=True)
class LiberoEpisode:
    """How one episode went.

    Attributes:
        task: Number of the task in its suite.
        initial_state: Number of the initial state.
        sentence: What was asked for.
        success: Whether the task was solved within the limit.
        steps: Commands until then, or all.
        nfe: Network evaluations of each chunk.
        decode_ms: Wall time of each prediction.
        malformed: Predictions that could not be executed; the arm stood still instead.
    """

    task: int
    initial_state: int
    sentence: str
    success: bool
    steps: int
    nfe: tuple[int, ...]
    decode_ms: tuple[float, ...]
    malformed: int


class LiberoEpisodes:
    """Runs episodes of one suite.

    Args:
        policy: Any; its spec must fit.
        simulator: A running one.
        plan: How.

    Raises:
        ConfigurationError: The policy does not fit LIBERO or the plan.
        SimulationError: LIBERO cannot open the suite.
    """

    def __init__(self, policy: Policy, simulator: LiberoSimulator, plan: LiberoPlan) -> None:
        self._policy, self._simulator, self._plan = policy, simulator, plan
        self._view = PolicyView.fitting(policy.spec, plan.rotate)
        self._rows = plan.rows_of(policy.spec.horizon, policy.spec.execute_steps)
        self._facts: SuiteFacts = simulator.open(plan.suite, plan.camera_size)

    def episode(self, task: int, initial_state: int) -> LiberoEpisode:
        """One episode, from the initial state to success or the limit.

        Raises:
            ConfigurationError: The task has fewer initial states.
            SimulationError: The simulator failed.
        """
        if initial_state >= self._facts.initial_states[task]:
            raise ConfigurationError(
                f"{self._plan.suite}, task {task}, has {self._facts.initial_states[task]} initial states; ask for as "
                "many episodes."
            )
        self._simulator.restart(task, initial_state, self._plan.seed, SETTLE_STEPS)
        self._policy.reset()
        predictions: list[Prediction] = []
        done, left, gripper = False, self._plan.steps, 1.0
        while left > 0 and not done:
            predictions.append(self._predict(task, initial_state, len(predictions)))
            rows = _executable(predictions[-1], gripper)[: min(self._rows, left)]
            executed = self._simulator.execute(controller_rows(rows))
            done, left, gripper = executed.done, left - executed.steps, float(rows[executed.steps - 1, -1])
        return LiberoEpisode(
            task=task,
            initial_state=initial_state,
            sentence=self._facts.sentences[task],
            success=done,
            steps=self._plan.steps - left,
            nfe=tuple(prediction.nfe for prediction in predictions),
            decode_ms=tuple(round(1e3 * prediction.timings.total_s, 3) for prediction in predictions),
            malformed=sum(not prediction.usable for prediction in predictions),
        )

    def _predict(self, task: int, initial_state: int, look: int) -> Prediction:
        observation = self._view.observation(self._simulator.look(), self._facts.sentences[task])
        return self._policy.predict(observation, seed=_answer_seed(self._plan.seed, task, initial_state, look))


def _executable(prediction: Prediction, gripper: float) -> np.ndarray:
    """The rows `[H, 7]`; where they are not usable, rows that stand still and leave the gripper as it is."""
    if prediction.usable:
        return prediction.actions
    still = np.zeros((len(prediction.actions), ACTION_WIDTH), np.float32)
    still[:, -1] = gripper
    return still


def _answer_seed(*numbers: int) -> int:
    """One seed below 2^31 of several numbers, so that an episode goes alike whichever were run before it."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0] >> 1)
