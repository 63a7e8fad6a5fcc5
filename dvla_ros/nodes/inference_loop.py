"""The inference thread: observes, infers, publishes, and waits until the chunk is over. Knows no ROS."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dvla_ros.control.assembler import ObservationAssembler
from dvla_ros.control.chunk import ActionChunk
from dvla_ros.control.observation import Observation
from dvla_ros.errors import DvlaError, ObservationError
from dvla_ros.nodes.run import Inference, Run, RunLimits
from dvla_ros.policies.base import Policy, Prediction

_IDLE_S = 0.5
_RETRY_S = 0.05


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
        lead_s: A chunk starts this long after its publication, which covers its way to the chunker.
        settle_s: The next observation is at least this much later than the last executed row ends.
        min_period_s: At least so long between two inferences; 0: as the chunks ask for.
    """

    lead_s: float
    settle_s: float
    min_period_s: float


class InferenceLoop:
    """Follows one instruction at a time and answers direct requests in between.

    All calls to the policy happen in the loop's own thread. An observation counts once its anchor is not older than
    the end of the rows that the last chunk asked to execute and the arm has settled: the policy sees where they have
    led.

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
        self._epoch, self._sequence = first_epoch, 0
        self._not_before = self._not_inferring_before = 0.0
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
            self._not_before = now
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

    def notify(self) -> None:
        """New data have arrived."""
        with self._wake:
            self._wake.notify()

    def _end_run(self, reason: str, message: str, now: float) -> None:
        if self._run is not None:
            self._run.end(reason, message, now)
            self._run = None

    def _loop(self) -> None:
        while not self._stopping:
            if self._requests:
                self._requests.popleft()(self.policy)
            elif self._run is not None:
                self._advance(self._run)
            else:
                self._pause(_IDLE_S)

    def _pause(self, seconds: float) -> None:
        with self._wake:
            if not self._stopping and not self._requests:
                self._wake.wait(seconds)

    def _advance(self, run: Run) -> None:
        now = self._clock()
        over = run.over(now)
        early = max(self._not_before, self._not_inferring_before) - now
        if over is not None:
            self.end_run(*over, run=run)
        elif early > 0.0:
            self._pause(early)
        else:
            self._observe_and_infer(run, now)

    def _observe_and_infer(self, run: Run, now: float) -> None:
        try:
            if run is not self._begun:
                self.policy.reset()
                self._begun = run
            observation = self._assembler.assemble(now, self._not_before)
            if observation is not None:
                run.silent_since = None
                self._infer(run, observation, now)
        except ObservationError as error:
            self._no_observation(run, str(error), now)
        except Exception as error:
            self._fail(run, error)
        else:
            if observation is None:
                self._pause(_RETRY_S)

    def _infer(self, run: Run, observation: Observation, began: float) -> None:
        self._not_inferring_before = began + self._settings.min_period_s
        waited = max(0.0, began - max(self._not_before, run.started))
        prediction = self.policy.predict(observation)
        if not prediction.usable:
            self._output.report(f"No chunk, the arm is held: {prediction.malformed}")
            return
        with self._wake:
            if run is not self._run:
                return
            inference = self._inference(run, observation, prediction, waited)
            run.chunks += 1
            self._output.publish(inference)
        if run.on_chunk is not None:
            run.on_chunk(run, inference)

    def _inference(self, run: Run, observation: Observation, prediction: Prediction, waited: float) -> Inference:
        spec, now = self.policy.spec, self._clock()
        chunk = ActionChunk(
            stamp=now + self._settings.lead_s,
            dt=spec.dt,
            actions=prediction.actions,
            mode=spec.mode,
            names=spec.action_names,
            sequence=self._sequence,
            epoch=run.epoch,
            execute_steps=spec.execute_steps,
            observation_stamp=observation.stamp,
            confidence=prediction.confidence,
        )
        self._sequence += 1
        self._not_before = chunk.stamp + spec.execute_steps * spec.dt + self._settings.settle_s
        return Inference(chunk, prediction, waited, now - observation.stamp)

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
