"""The inference thread: observes, infers and publishes when the replanner says so. Knows no ROS."""

import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dvla_ros.control.assembler import ObservationAssembler
from dvla_ros.control.observation import Observation
from dvla_ros.control.replanning import ChunkLayout, Replanner, ReplanningConfig
from dvla_ros.errors import ActionError, DvlaError, ObservationError
from dvla_ros.nodes.question_queue import QuestionQueue
from dvla_ros.nodes.run import Inference, Run, RunLimits
from dvla_ros.policies.answering import answer_of, predict_for
from dvla_ros.policies.base import Policy, PolicySpec
from dvla_ros.policies.batching import Answer, Question

_IDLE_S = 0.5
_RETRY_S = 0.05
_SEEDS = 2**31
_STOPPED = "The policy node is not active."


class InferenceOutput(Protocol):
    """Where the loop's results go; called from the inference thread."""

    def publish(self, inference: Inference) -> None:
        """Send a chunk."""
        ...

    def report(self, problem: str) -> None:
        """Say that there is a problem; the same one may come many times."""
        ...


@dataclass(frozen=True)
class LoopSettings:
    """Timing of the loop.

    Attributes:
        replanning: How chunks follow each other.
        min_period_s: At least so long between two inferences; 0: as the chunks ask for.
        expected_latency_s: First guess of how long an inference takes, until there are measurements.
        seed: Each run's first answer has this seed, the next ones those that follow; None draws a fresh one each time.
        max_batch: Most direct requests that are answered together.
        batch_wait_s: How long a direct request waits for others although the policy is free.
    """

    replanning: ReplanningConfig
    min_period_s: float = 0.0
    expected_latency_s: float = 0.0
    seed: int | None = None
    max_batch: int = 1
    batch_wait_s: float = 0.0


class InferenceLoop:
    """Follows one instruction at a time and answers direct requests in between, several of them together.

    All calls to the policy happen in the loop's own thread. The replanner says from when on an observation counts and
    which rows of the next chunk are fixed; `decided` tells it what became of the chunks.

    Args:
        policy: Called by the loop's thread only.
        assembler: Filled by others; asked by the loop's thread only.
        settings: Timing.
        clock: ROS time in seconds.
        output: Receives chunks and problems.
        first_epoch: Epoch of the first run; must grow over restarts, for receivers drop older epochs.
    """

    def __init__(
        self,
        policy: Policy,
        assembler: ObservationAssembler,
        settings: LoopSettings,
        clock: Callable[[], float],
        output: InferenceOutput,
        first_epoch: int,
    ) -> None:
        self.policy = policy
        self._assembler, self._settings = assembler, settings
        self._clock, self._output = clock, output
        self._wake = threading.Condition()
        self._run: Run | None = None
        self._begun: Run | None = None
        self._requests: deque[Callable[[Policy], None]] = deque()
        self._questions = QuestionQueue(settings.max_batch, settings.batch_wait_s)
        self._epoch = first_epoch
        self._not_inferring_before = 0.0
        spec = policy.spec
        layout = ChunkLayout(spec.dt, spec.horizon, spec.execute_steps, spec.mode, spec.action_names)
        self._replanner = Replanner(settings.replanning, layout)
        self._replanner.delay.clear(settings.expected_latency_s)
        self._reports: deque[Callable[[Replanner, float], None]] = deque()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="inference", daemon=True)

    @property
    def run(self) -> Run | None:
        """The run that is being followed; None when idle."""
        return self._run

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the present run, finish the inference in progress and end the thread."""
        self.end_run("cancelled", "the policy node stops")
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    def follow(
        self, instruction: str, limits: RunLimits, on_chunk: Callable[[Run, Inference], None] | None = None
    ) -> Run:
        """Follow an instruction from now on, as a new episode; it replaces the present run.

        Raises:
            ObservationError: The instruction is blank; the present run goes on.
        """
        self._assembler.set_instruction(instruction)
        with self._wake:
            now = self._clock()
            self._end_run("replaced", f"replaced by '{instruction.strip()}'", now)
            self._run = Run(instruction.strip(), self._epoch, limits, now, on_chunk)
            self._epoch += 1
            self._wake.notify()
            return self._run

    def end_run(self, reason: str, message: str, run: Run | None = None) -> None:
        """End the present run, or `run` if it is the present one; no further chunks."""
        with self._wake:
            if run is None or run is self._run:
                self._end_run(reason, message, self._clock())

    def request(self, work: Callable[[Policy], None]) -> None:
        """Have `work` called with the policy in the loop's thread."""
        with self._wake:
            self._requests.append(work)
            self._wake.notify()

    def ask(self, read: Callable[[PolicySpec], Question], answered: Callable[[Answer], None]) -> None:
        """Have a question answered, together with others that wait.

        Args:
            read: What is asked; called in the loop's thread, and may raise a DvlaError.
            answered: Called in the loop's thread with the chunk or the error.
        """
        with self._wake:
            if self._stopping:
                answered(ActionError(_STOPPED))
                return
            self._questions.add(read, answered)
            self._wake.notify()

    def refused(self, epoch: int, sequence: int) -> None:
        """The controller did not take a chunk over."""
        self._report(lambda replanner, now: replanner.refused(epoch, sequence, now))

    def dropped(self) -> None:
        """The controller dropped the rows that were still to come: the arm was held."""
        self._report(lambda replanner, now: replanner.dropped(now))

    def delay_ms(self) -> float:
        """How long an inference is expected to take, in milliseconds."""
        return 1e3 * self._replanner.delay.seconds

    def notify(self) -> None:
        """New data have arrived."""
        with self._wake:
            self._wake.notify()

    def _report(self, report: Callable[[Replanner, float], None]) -> None:
        with self._wake:
            self._reports.append(report)
            self._wake.notify()

    def _end_run(self, reason: str, message: str, now: float) -> None:
        if self._run is not None:
            self._run.end(reason, message, now)
            self._run = None

    def _loop(self) -> None:
        while not self._stopping:
            due = self._questions.due_in()
            if self._requests:
                self._requests.popleft()(self.policy)
            elif due is not None and due <= 0.0:
                self._questions.answer(self.policy)
            elif self._run is not None:
                self._advance(self._run)
            else:
                self._pause(_IDLE_S)
        self._questions.refuse(_STOPPED)

    def _pause(self, seconds: float) -> None:
        with self._wake:
            due = self._questions.due_in()
            seconds = seconds if due is None else min(seconds, due)
            if not self._stopping and not self._requests and seconds > 0.0:
                self._wake.wait(seconds)

    def _advance(self, run: Run) -> None:
        now = self._clock()
        if run is not self._begun:
            self._begin(run)
        while self._reports:
            self._reports.popleft()(self._replanner, now)
        over = run.over(now)
        look = self._replanner.look_at(now)
        early = max(look, self._not_inferring_before) - now
        if over is not None:
            self.end_run(*over, run=run)
        elif early > 0.0:
            self._pause(early)
        else:
            self._observe_and_infer(run, look, now)

    def _begin(self, run: Run) -> None:
        self._begun = run
        self._reports.clear()
        self._replanner.start(run.epoch, run.started)
        self.policy.reset()

    def _observe_and_infer(self, run: Run, look: float, now: float) -> None:
        try:
            observation = self._assembler.assemble(now, look)
            if observation is not None:
                run.silent_since = None
                self._infer(run, observation, look, now)
        except ObservationError as error:
            self._no_observation(run, str(error), now)
        except Exception as error:
            self._fail(run, error)
        else:
            if observation is None:
                self._pause(_RETRY_S)

    def _infer(self, run: Run, observation: Observation, look: float, began: float) -> None:
        self._not_inferring_before = began + self._settings.min_period_s
        ask = self._replanner.ask(began, observation.stamp)
        seed = secrets.randbelow(_SEEDS) if self._settings.seed is None else self._settings.seed + run.chunks
        prediction = predict_for(self.policy, observation, ask, seed)
        if not prediction.usable:
            self._replanner.unanswered(self._clock())
            self._output.report(f"No chunk, the arm is held: {prediction.malformed}")
            return
        with self._wake:
            if run is not self._run:
                return
            now = self._clock()
            chunk = self._replanner.chunk(ask, answer_of(prediction), observation.stamp, now)
            waited, latency = max(0.0, began - look), now - observation.stamp
            inference = Inference(chunk, prediction, waited, latency, observation, ask, seed)
            run.chunks += 1
            self._output.publish(inference)
        if run.on_chunk is not None:
            run.on_chunk(run, inference)

    def _no_observation(self, run: Run, problem: str, now: float) -> None:
        self._output.report(problem)
        run.silent_since = now if run.silent_since is None else run.silent_since
        if run.limits.max_silence_s and now - run.silent_since >= run.limits.max_silence_s:
            self.end_run("observation_lost", problem, run=run)
        self._pause(_RETRY_S)

    def _fail(self, run: Run, error: Exception) -> None:
        problem = str(error) if isinstance(error, DvlaError) else f"{type(error).__name__}: {error}"
        self._output.report(f"Inference failed, the run ends: {problem}")
        self.end_run("fault", problem, run=run)
