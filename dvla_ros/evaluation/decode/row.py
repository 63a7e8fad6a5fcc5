"""One line of the benchmark."""

from dataclasses import asdict, dataclass, fields

from dvla_ros.evaluation.markdown_table import FigureTable


@dataclass(frozen=True)
class Row:
    """How one policy decodes in one way on one device.

    Attributes:
        system: Whose layout, or the system of a shipped policy.
        size: `small` or `true` (published layouts with random weights), or `shipped`.
        device: `cpu` or the GPU's name.
        dtype: Of the weights.
        cache: Who sees whom, and what a denoising step keeps of the one before; `published way` for the baseline.
        chunk_ms_p50: From the observation to the actions, median.
        chunk_ms_p95: Likewise, 95th percentile.
        step_ms_p50: One denoising step, everything in the loop included.
        nfe: Network function evaluations of a chunk, words included.
        tok_s: Tokens of the canvas, or words of a reasoning, per second of a chunk.
        actions_s: Actions per second of a chunk.
        peak_memory_gb: Of a GPU what tensors hold, of a host what the process holds; 10⁹ bytes. None where unknown.
        floor_ms: What the device needs at least, see `chunk_floor`.
        floor_ratio: chunk_ms_p50 ÷ floor_ms; 1 is as fast as can be.
        baseline_ratio: How many times as fast as the baseline of the same run; None without one.
    """

    system: str
    size: str
    device: str
    dtype: str
    cache: str
    chunk_ms_p50: float
    chunk_ms_p95: float
    step_ms_p50: float
    nfe: float
    tok_s: float
    actions_s: float
    peak_memory_gb: float | None
    floor_ms: float
    floor_ratio: float
    baseline_ratio: float | None

    def to_json(self) -> dict[str, object]:
        """By name."""
        return asdict(self)


HEADINGS = tuple(field.name for field in fields(Row))


def rows_table(rows: list[Row]) -> FigureTable:
    """Rows as text."""
    return FigureTable(HEADINGS, tuple(tuple(cell(value) for value in row.to_json().values()) for row in rows))


def cell(value: object) -> str:
    """One figure: three digits, a dash where it is not known."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
