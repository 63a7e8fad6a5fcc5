"""The rows of one case: its policy in every way that is asked for, and the baseline."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dvla_ros.control.observation import Observation
from dvla_ros.engine.cache_plan import EXACT, CachePlan
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.weight_form import BYTES, UNCHANGED
from dvla_ros.evaluation.decode.cases import Case
from dvla_ros.evaluation.decode.chunk_floor import ChunkWork, ReasoningSequence, TokenSequence
from dvla_ros.evaluation.decode.hf_generate import hf_generate
from dvla_ros.evaluation.decode.looked_at import look_at, number_bytes, trunk_of
from dvla_ros.evaluation.decode.made_up import made_up_observation
from dvla_ros.evaluation.decode.measured_chunks import MeasuredChunks, Way, measure_ways, token_agreement
from dvla_ros.evaluation.decode.measured_rates import BestRates
from dvla_ros.evaluation.decode.published_way import PublishedWay
from dvla_ros.evaluation.decode.random_weights import fresh_layout, open_layout
from dvla_ros.evaluation.decode.row import Row
from dvla_ros.evaluation.decode.stopwatch import seconds_of
from dvla_ros.evaluation.decode.trunk_work import trunk_bytes
from dvla_ros.evaluation.statistics import percentile
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.token_policy import TokenPolicy

PUBLISHED_WAY = "published way"
_FEWER = 4
"""The baseline is asked in one of so many rounds."""


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        device: Where.
        device_name: For people.
        dtype: Of the weights of published layouts.
        repeats: Chunks of each row.
        best: Rates of this device and type, measured again before and behind every case.
        checkpoints: Folder of a shipped policy, with `{system}` in it.
        folder: Where temporary checkpoints are written.
        weights: How trunks hold their weights, see `engine.quantise`.
    """

    device: torch.device
    device_name: str
    dtype: torch.dtype
    repeats: int
    best: BestRates
    checkpoints: str
    folder: Path | None = None
    weights: str = UNCHANGED

    @property
    def weight_bytes(self) -> float | None:
        """Bytes of a number of the weights, where these are held in fewer."""
        return BYTES.get(self.weights)


@dataclass(frozen=True)
class CaseFigures:
    """What came of a case.

    Attributes:
        rows: One for each plan, and the baseline's.
        parts: Medians of the parts of a chunk in ms and the share of tokens that equal the baseline's, for each row.
    """

    rows: tuple[Row, ...]
    parts: tuple[dict[str, object], ...]


def measure_case(case: Case, settings: Settings) -> CaseFigures:
    """Open the policy of a case, measure it in every way, and let it go."""
    with _opened(case, settings) as (policy, checkpoint):
        observation = made_up_observation(policy.spec)
        measure = _Measurement(case, settings, policy, observation)
        found = measure.tokens() if isinstance(policy, TokenPolicy) else measure.reasoning(checkpoint)
    del policy, measure
    gc.collect()
    if settings.device.type == "cuda":
        torch.cuda.empty_cache()
    return found


@contextmanager
def _opened(case: Case, settings: Settings) -> Iterator[tuple[Any, Path]]:
    if case.size == "shipped":
        folder = Path(settings.checkpoints.format(system=case.system))
        yield load_policy(folder, str(settings.device), weights=settings.weights), folder
        return
    with fresh_layout(case.system, case.size, settings.folder) as folder:
        draw = case.size == "true"
        yield (
            open_layout(folder, case.deployment, settings.device, settings.dtype, draw=draw, weights=settings.weights),
            folder,
        )


class _Measurement:
    """One policy and one observation."""

    def __init__(self, case: Case, settings: Settings, policy: Any, observation: Observation) -> None:
        self._case, self._settings, self._policy, self._observation = case, settings, policy, observation
        trunk = trunk_of(policy.network.model)
        self._weight_bytes = trunk_bytes(trunk.config, settings.weight_bytes or number_bytes(trunk))
        self._rates = settings.best.measure(self._weight_bytes)
        held = str(next(trunk.norm.parameters()).dtype).removeprefix("torch.")
        self._dtype = held if settings.weights == UNCHANGED else settings.weights

    def tokens(self) -> CaseFigures:
        """Every plan, and the published way."""
        policy, network, repeats = self._policy, self._policy.network, self._settings.repeats
        sequence = TokenSequence.of(policy, self._observation, self._settings.weight_bytes)
        prefix_s = self._prefix_pass_s(network)
        fewer = min(_FEWER, repeats)
        ways = [Way(PUBLISHED_WAY, self._entering(PublishedWay(network)), every=fewer)]
        ways += [Way(str(plan), self._entering(network, plan)) for plan in self._case.plans]
        measured = measure_ways(policy, ways, self._observation, repeats)
        self._rates = self._settings.best.measure(self._weight_bytes)
        policy.network = network
        slow = measured[0]
        works = [sequence.published(int(slow.nfe))]
        pairs = zip(self._case.plans, measured[1:], strict=True)
        works += [sequence.chunk(plan, int(chunks.nfe)) for plan, chunks in pairs]
        rows, parts = [], []
        for way, chunks, work in zip(ways, measured, works, strict=True):
            name, less_s = f"{self._attention} {way.name}".strip(), prefix_s if chunks is slow else 0.0
            tokens = policy.network.canvas.free_length
            rows.append(self._row(name, chunks, work, tokens, slow.chunk_s() - prefix_s, less_s))
            agreement = token_agreement(chunks, slow, fewer if way.every == 1 else 1)
            parts.append(self._parts(name, chunks) | {"same_tokens": agreement})
        return CaseFigures(tuple(rows), tuple(parts))

    def _entering(self, network: Any, plan: CachePlan = EXACT) -> Callable[[], None]:
        """Makes the policy ask this network, with this plan; what other plans captured is let go."""

        def enter() -> None:
            network.cache, network.graphs = plan, StepGraphs.on(self._settings.device, None)
            self._policy.network = network

        return enter

    def reasoning(self, checkpoint: Path) -> CaseFigures:
        """The policy, then `generate` in place of its reading and speaking."""
        policy, network = self._policy, self._policy.network
        sequence = ReasoningSequence.of(policy, self._observation, self._settings.weight_bytes)
        words = sequence.words + 1 if network.longest_answer else 0
        way = Way("exact", lambda: None)
        (chunks,) = measure_ways(policy, [way], self._observation, self._settings.repeats, words=sequence.words)
        self._rates = self._settings.best.measure(self._weight_bytes)
        baseline_s = None
        if self._case.size != "shipped" and words and self._settings.weights == UNCHANGED:
            question = network.prepare(self._observation).question
            repeats = max(1, self._settings.repeats // _FEWER)
            theirs = hf_generate(checkpoint, network.model.backbone, question, words, repeats)
            others = ("preprocess_s", "denoise_s", "decode_s")
            baseline_s = percentile(theirs.seconds, 50.0) + sum(chunks.part_s(name) for name in others)
        row = self._row("exact", chunks, sequence.work, words, baseline_s)
        return CaseFigures((row,), (self._parts("exact", chunks),))

    @property
    def _attention(self) -> str:
        if self._case.attention or not isinstance(self._policy, TokenPolicy):
            return self._case.attention
        network: Any = self._policy.network
        return str(network.model.config.attention)

    @torch.no_grad()
    def _prefix_pass_s(self, network: Any) -> float:
        """The pass over the settled prefix alone, which the published way has not."""
        inputs = network.prepare(self._observation)
        columns = len(self._policy.spec.action_names)
        seen = look_at(network, network.prefill(inputs, torch.zeros(0, columns).numpy()))
        if not seen.settled:
            return 0.0
        trunk, embedded = trunk_of(network.model), seen.embedded[:, : seen.settled]
        taken = seconds_of(lambda: trunk.prefill(embedded, seen.settled_mask), self._settings.device, repeats=3)
        return percentile(taken, 50.0)

    def _row(
        self,
        cache: str,
        chunks: MeasuredChunks,
        work: ChunkWork,
        tokens: int,
        baseline_s: float | None,
        less_s: float = 0.0,
    ) -> Row:
        """A row; `less_s` is taken off the measured time: work that this way of decoding does not need."""
        chunk_s, floor_s = chunks.chunk_s() - less_s, self._rates.total_seconds(work.passes)
        return Row(
            system=self._case.system,
            size=self._case.size,
            device=self._settings.device_name,
            dtype=self._dtype,
            cache=cache,
            chunk_ms_p50=1e3 * chunk_s,
            chunk_ms_p95=1e3 * (chunks.chunk_s(95.0) - less_s),
            step_ms_p50=1e3 * chunks.step_s,
            nfe=chunks.nfe,
            tok_s=tokens / chunk_s,
            actions_s=self._policy.spec.horizon / chunk_s,
            peak_memory_gb=chunks.peak_gb,
            floor_ms=1e3 * floor_s,
            floor_ratio=chunk_s / floor_s,
            baseline_ratio=None if baseline_s is None else baseline_s / chunk_s,
        )

    def _parts(self, cache: str, chunks: MeasuredChunks) -> dict[str, object]:
        names = ("preprocess_s", "prefill_s", "denoise_s", "decode_s")
        medians = {name.replace("_s", "_ms"): 1e3 * chunks.part_s(name) for name in names}
        return {"system": self._case.system, "size": self._case.size, "cache": cache, **medians}
