"""What one denoising step must read and multiply, for each way of keeping something of the step before."""

from collections.abc import Iterator
from dataclasses import dataclass

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.evaluation.decode.trunk_work import LayerNumbers, head_work, pass_work
from dvla_ros.evaluation.decode.work import Work
from dvla_ros.models.trunk_config import TrunkConfig


@dataclass(frozen=True)
class HeadShape:
    """A head as one segment of the canvas uses it.

    Attributes:
        positions: Of the segment.
        vocabulary: Ids that a decoder may choose there: the rows that are needed.
    """

    positions: int
    vocabulary: int


@dataclass(frozen=True)
class SequenceShape:
    """What stands where when a decoder runs.

    Attributes:
        trunk: Shape of the layers.
        prefix: Positions before those that run in every step.
        settled: How many of them, from the first, see nothing behind them.
        run: Positions that run in every step: the canvas and what belongs to it.
        heads: Of each segment of the canvas.
        vocabulary: Rows of the whole head; 0 where segments have heads of their own.
        number_bytes: Bytes of a number.
        weight_bytes: Bytes of a number of the trunk's weights, where these are held in fewer.
    """

    trunk: TrunkConfig
    prefix: int
    settled: int
    run: int
    heads: tuple[HeadShape, ...]
    vocabulary: int
    number_bytes: float
    weight_bytes: float | None = None

    @property
    def between(self) -> int:
        """Positions before the canvas that see it."""
        return self.prefix - self.settled

    @property
    def length(self) -> int:
        """Positions in all."""
        return self.prefix + self.run

    def trunk_pass(self, rows: int, *, batch: int = 1, last: int | None = None) -> Work:
        """So many positions through the trunk, that see all of the sequence."""
        return pass_work(
            self.trunk, rows, self.length, self.number_bytes, batch=batch, last=last, weight_bytes=self.weight_bytes
        )

    def head(self, batch: int = 1) -> Work:
        """The rows of the head that are needed, for the positions that need them."""
        width, total = self.trunk.width, Work()
        for head in self.heads:
            total += head_work(width, head.vocabulary, head.positions, self.number_bytes, batch=batch)
        return total

    def whole_head(self, batch: int = 1) -> Work:
        """All rows of the head for the canvas."""
        if not self.vocabulary:
            return self.head(batch)
        positions = sum(head.positions for head in self.heads)
        return head_work(self.trunk.width, self.vocabulary, positions, self.number_bytes, batch=batch)


def step_work(shape: SequenceShape, plan: CachePlan, step: int, batch: int = 1) -> Work:
    """One denoising step.

    Args:
        shape: Of the sequence.
        plan: What is kept of the step before.
        step: Its number, from 0.
        batch: Canvases that run together.
    """
    if plan.name == "dllm":
        return _dllm_work(shape, plan, step, batch) + shape.head(batch)
    whole = plan.name == "exact" or step == 0
    rows = shape.run + (shape.between if whole else 0)
    return shape.trunk_pass(rows, batch=batch, last=shape.run) + shape.head(batch)


def published_step_work(shape: SequenceShape, batch: int = 1) -> Work:
    """One step of the published way: everything runs, and the whole head."""
    return shape.trunk_pass(shape.length, batch=batch) + shape.whole_head(batch)


def chunk_work(shape: SequenceShape, plan: CachePlan, steps: int, batch: int = 1) -> Iterator[Work]:
    """All denoising steps of a chunk."""
    return (step_work(shape, plan, step, batch) for step in range(steps))


def _dllm_work(shape: SequenceShape, plan: CachePlan, step: int, batch: int) -> Work:
    between = shape.between if step % plan.prompt_interval == 0 else 0
    anew = step % plan.canvas_interval == 0
    chosen = shape.run if anew else int(plan.ratio * shape.run)
    rows = between + chosen
    compared = 0.0 if anew else _value_flop(shape, batch)
    if rows == 0:
        return Work(_value_bytes(shape), compared)
    computed = shape.trunk_pass(rows, batch=batch)
    return Work(computed.nbytes, computed.flop + compared)


def _value_bytes(shape: SequenceShape) -> float:
    """The projections to values alone, by which it is decided what to compute."""
    return shape.trunk.layers * LayerNumbers.of(shape.trunk).keys * (shape.weight_bytes or shape.number_bytes)


def _value_flop(shape: SequenceShape, batch: int) -> float:
    """Values of the whole canvas."""
    return 2.0 * batch * shape.trunk.layers * LayerNumbers.of(shape.trunk).keys * shape.run
