"""Policies on recordings: what each would have done, beside what was done.

One policy at a time is in memory, and one observation at a time: what is kept are numbers and a few small pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dvla_ros.control.observation import Observation
from dvla_ros.errors import RecordingError
from dvla_ros.evaluation.anchors import Anchor
from dvla_ros.evaluation.compared_policy import ComparedPolicy
from dvla_ros.evaluation.evaluation_result import BagFacts, EpisodeFacts, EvaluationResult, VariantResult
from dvla_ros.evaluation.findings import findings
from dvla_ros.evaluation.open_loop.metrics import figures
from dvla_ros.evaluation.open_loop.sample import Sample
from dvla_ros.evaluation.open_loop.time_offset import OffsetCurve, TimeOffset
from dvla_ros.evaluation.paired import mae_difference
from dvla_ros.evaluation.picture_strip import PictureStrip, recorded_intrinsics
from dvla_ros.evaluation.policy_answers import Keep, PolicyAnswers
from dvla_ros.evaluation.prepared_bag import PreparedBag, ReadingPlan, prepare
from dvla_ros.evaluation.replay import replay
from dvla_ros.evaluation.run_metadata import bytes_of, message_counts
from dvla_ros.evaluation.stream_watch import StreamWatch
from dvla_ros.evaluation.watched_bag import WatchedBag
from dvla_ros.policies.base import Policy, PolicySpec
from dvla_ros.view.camera_poses import SIMULATION, camera_poses


@dataclass(frozen=True)
class EvaluationPlan:
    """What is evaluated.

    Attributes:
        bags: Recordings.
        reading: How they are read.
        max_episodes: Of all bags together; 0: all.
        seed: Of the first answer; the next ones follow. Also of the bootstrap.
        bootstrap: Draws for the intervals.
        replay: Whether recorded inferences are asked again.
        camera_poses: `simulation`, a YAML file, or "": simulated recordings only.
    """

    bags: tuple[Path, ...]
    reading: ReadingPlan = field(default_factory=ReadingPlan)
    max_episodes: int = 0
    seed: int = 0
    bootstrap: int = 1000
    replay: bool = True
    camera_poses: str = ""


Progress = Callable[[str, int, int], None]
"""Called with the name of a policy, how many questions it was asked, and how many there are."""


class BagEvaluation:
    """Evaluates policies on bags.

    Args:
        plan: What is evaluated.
        policies: At least one; the first one's rows set the times at which all are asked.
        progress: Told how far it is.
    """

    def __init__(
        self, plan: EvaluationPlan, policies: Sequence[ComparedPolicy], progress: Progress = lambda *_: None
    ) -> None:
        self._plan, self._policies, self._progress = plan, policies, progress
        self._prepared: list[PreparedBag] = []
        self._facts: dict[Path, BagFacts] = {}
        self._episodes: list[EpisodeFacts] = []
        self._anchors: dict[Path, list[Anchor]] = {}
        self._offsets: list[TimeOffset] = []
        self._curves: list[OffsetCurve] = []
        self._strip = PictureStrip(frozenset())
        self._reference: tuple[Sample, ...] = ()

    def run(self, metadata: Mapping[str, object]) -> EvaluationResult:
        """Everything, one policy after the other.

        Args:
            metadata: How this run came about, see `run_metadata`.

        Raises:
            RecordingError: A bag cannot be read, or lacks what is needed of it.
            CheckpointError: A checkpoint cannot be used.
        """
        self._prepare()
        variants = tuple(self._evaluate(compared) for compared in self._policies)
        first = variants[0]
        same_mode = {v.name: v.samples for v in variants if v.mode is first.mode}
        bags = tuple(self._facts.values())
        return EvaluationResult(
            episodes=tuple(self._episodes),
            variants=variants,
            bags=bags,
            warnings=findings(variants, bags, self._prepared),
            curves=tuple(self._curves),
            strip=self._strip.pictures(same_mode, first.mode),
            metadata=metadata,
        )

    def _prepare(self) -> None:
        for path in self._plan.bags:
            with WatchedBag(path) as bag:
                self._prepared.append(prepare(bag, self._plan.reading))
                self._note(bag)

    def _evaluate(self, compared: ComparedPolicy) -> VariantResult:
        """One policy on all bags; it is gone from memory afterwards."""
        policy, answers = compared.load(), PolicyAnswers()
        first = not self._anchors
        if first:
            self._choose_anchors(policy.spec.dt)
        for prepared in self._prepared:
            if self._anchors[prepared.path]:
                with WatchedBag(prepared.path) as bag:
                    self._ask(bag, prepared, compared, policy, answers, first)
                    if self._plan.replay:
                        inferences = prepared.answers.inferences
                        answers.replay = answers.replay.joined(
                            replay(bag, prepared.topics, inferences, compared, policy)
                        )
                    self._note(bag)
        if not answers.samples:
            raise RecordingError(f"No question to {compared.name} could be answered. {answers.reasons()}")
        return self._result(compared, policy.spec, answers)

    def _choose_anchors(self, dt: float) -> None:
        """When all policies are asked, and which pictures are kept."""
        most = self._plan.max_episodes or float("inf")
        for prepared in self._prepared:
            anchors = self._anchors.setdefault(prepared.path, [])
            for episode in prepared.episodes:
                own = prepared.anchors(len(self._episodes), episode, dt, self._plan.reading.every_s)
                if own and len(self._episodes) < most:
                    anchors.extend(own)
                    self._episodes.append(EpisodeFacts.of(len(self._episodes), episode, prepared.track.convention))
        everything = [anchor for anchors in self._anchors.values() for anchor in anchors]
        if not everything:
            raise RecordingError("The recordings hold no episode that is long enough to ask a policy about.")
        self._strip = PictureStrip.of(everything)

    def _ask(
        self,
        bag: WatchedBag,
        prepared: PreparedBag,
        compared: ComparedPolicy,
        policy: Policy,
        answers: PolicyAnswers,
        first: bool,
    ) -> None:
        """All questions about one bag; while the first policy is asked, streams are watched and pictures are kept."""
        anchors = self._anchors[prepared.path]
        total, cameras = sum(len(some) for some in self._anchors.values()), policy.spec.cameras
        watch = StreamWatch(bag, replace(prepared.topics, cameras=cameras), prepared.alignment) if first else None
        keep_picture = None if watch is None else self._picture_keeper(bag, prepared, cameras, watch)
        bag.watch = None if watch is None else watch.see

        def keep(anchor: Anchor, observation: Observation) -> None:
            self._progress(compared.name, answers.asked + 1, total)
            if keep_picture is not None:
                keep_picture(anchor, observation)

        instructions = {episode.number: episode.instruction for episode in self._episodes}
        answers.ask(bag, prepared, anchors, instructions, policy, self._plan.seed, keep)
        answers.recorded_s += max(0.0, anchors[-1].seen - bag.start)
        bag.watch = None
        if watch is not None:
            several = len(self._prepared) > 1
            name = (lambda camera: f"{camera} of {prepared.path.name}") if several else str
            self._offsets += [replace(offset, camera=name(offset.camera)) for offset in watch.offsets()]
            self._curves += [replace(curve, camera=name(curve.camera)) for curve in watch.curves()]

    def _picture_keeper(
        self, bag: WatchedBag, prepared: PreparedBag, cameras: Sequence[str], watch: StreamWatch
    ) -> Keep:
        poses = camera_poses(self._plan.camera_poses or (SIMULATION if prepared.simulated else ""))
        intrinsics = recorded_intrinsics(bag, cameras)

        def keep(anchor: Anchor, observation: Observation) -> None:
            if anchor in self._strip.anchors:
                seconds = anchor.seen - self._episodes[anchor.episode].start
                self._strip.add(anchor, seconds, observation, watch.joints_at(anchor.seen), poses, intrinsics)

        return keep

    def _result(self, compared: ComparedPolicy, spec: PolicySpec, answers: PolicyAnswers) -> VariantResult:
        result = figures(
            answers.samples,
            spec.action_names,
            spec.mode,
            None,
            spec.execute_steps,
            spec.dt,
            policy_range=compared.action_range(),
            offsets=self._offsets,
            realtime_factor=answers.recorded_s / answers.wall_s,
            same_policy=self._drove(compared),
            draws=self._plan.bootstrap,
            seed=self._plan.seed,
        )
        self._reference = self._reference or tuple(answers.samples)
        difference = mae_difference(answers.samples, self._reference, self._plan.bootstrap, self._plan.seed)
        return VariantResult(
            name=compared.name,
            checkpoint=compared.checkpoint,
            fingerprint=compared.fingerprint(),
            system=spec.system,
            decoder=compared.decoder,
            device=compared.device,
            cameras=spec.cameras,
            mode=spec.mode,
            names=spec.action_names,
            dt=spec.dt,
            horizon=spec.horizon,
            execute_steps=spec.execute_steps,
            samples=tuple(answers.samples),
            figures=result,
            mae_difference=difference[0],
            mae_difference_interval=difference[1],
            replay=answers.replay,
            unanswered=dict(answers.unanswered),
            recorded_s=answers.recorded_s,
            wall_s=answers.wall_s,
        )

    def _drove(self, compared: ComparedPolicy) -> bool:
        """Whether this checkpoint, however it decoded, drove the arm in all recordings."""
        recorded = [prepared.policy for prepared in self._prepared]
        return {None if one is None else one.fingerprint for one in recorded} == {compared.fingerprint()}

    def _note(self, bag: WatchedBag) -> None:
        """Keep what is known of a bag by now."""
        before = self._facts.get(bag.path)
        warnings = dict.fromkeys([*(before.warnings if before else ()), *bag.warnings])
        counts = message_counts(bag.path) or {**(before.messages if before else {}), **bag.counts}
        seconds = bag.end - bag.start
        self._facts[bag.path] = BagFacts(bag.path, bytes_of(bag.path), counts, seconds, tuple(warnings))
