"""What became of the errors that were put on a canvas: counted, and in millimetres."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dvla_ros.evaluation.error_injection import Injection

TOLERANCE = 2
"""Bins by which a token may differ from the reference and still count as nearly the same."""
_POSITION = slice(0, 3)  # dx, dy, dz of a Bridge action


@dataclass(frozen=True)
class Repair:
    """One chunk.

    Attributes:
        errors: Errors that were put on the canvas.
        repaired: Errors that ended as the reference's token.
        nearly: Errors that ended within `TOLERANCE` of it, the repaired ones among them.
        settled: Other positions that held their final token when the errors appeared.
        collateral: Of these, the ones that ended farther than `TOLERANCE` from it.
        open: Positions that were still to be decided.
        misled: Of these, the ones that ended farther than `TOLERANCE` from the reference.
        nfe: Network evaluations.
        damage_mm: Path error of the reference with all errors in it; NaN where it decodes to no chunk.
        error_mm: Path error of the result; NaN where it decodes to no chunk.
        reference_to_expert_mm: Path error of the reference against the expert's chunk.
        result_to_expert_mm: Path error of the result against the expert's chunk.
    """

    errors: int
    repaired: int
    nearly: int
    settled: int
    collateral: int
    open: int
    misled: int
    nfe: int
    damage_mm: float
    error_mm: float
    reference_to_expert_mm: float
    result_to_expert_mm: float


def count_repair(
    injection: Injection, reference: np.ndarray, damaged: np.ndarray, result: np.ndarray, expert: np.ndarray
) -> Repair:
    """Count one injection.

    Args:
        injection: The tokens.
        reference: The chunk that its reference decodes to, `[H, D]` Bridge actions.
        damaged: That of its damaged tokens.
        result: That of its result.
        expert: What the expert would do.
    """
    off = (injection.result - injection.reference).abs()
    return Repair(
        errors=_number(injection.errors),
        repaired=_number(injection.errors & (off == 0)),
        nearly=_number(injection.errors & (off <= TOLERANCE)),
        settled=_number(injection.settled),
        collateral=_number(injection.settled & (off > TOLERANCE)),
        open=_number(injection.open),
        misled=_number(injection.open & (off > TOLERANCE)),
        nfe=injection.nfe,
        damage_mm=path_error_mm(damaged, reference),
        error_mm=path_error_mm(result, reference),
        reference_to_expert_mm=path_error_mm(reference, expert),
        result_to_expert_mm=path_error_mm(result, expert),
    )


def path_error_mm(actions: np.ndarray, reference: np.ndarray) -> float:
    """How far apart (mm) the gripper would be commanded, on average over the rows of two chunks `[H, D]` of deltas."""
    apart = np.cumsum(actions[:, _POSITION] - reference[:, _POSITION], axis=0)
    return 1e3 * float(np.linalg.norm(apart, axis=-1).mean())


def summarise_repairs(repairs: Sequence[Repair]) -> dict[str, float | int]:
    """Shares over all errors and positions, means over the chunks, NaN of nothing, and the number of lost chunks."""
    return {
        "chunks": len(repairs),
        "errors": sum(r.errors for r in repairs),
        "repaired": _share([r.repaired for r in repairs], [r.errors for r in repairs]),
        "nearly": _share([r.nearly for r in repairs], [r.errors for r in repairs]),
        "collateral": _share([r.collateral for r in repairs], [r.settled for r in repairs]),
        "misled": _share([r.misled for r in repairs], [r.open for r in repairs]),
        "nfe": _mean([r.nfe for r in repairs]),
        "damage_mm": _mean([r.damage_mm for r in repairs]),
        "error_mm": _mean([r.error_mm for r in repairs]),
        "reference_to_expert_mm": _mean([r.reference_to_expert_mm for r in repairs]),
        "result_to_expert_mm": _mean([r.result_to_expert_mm for r in repairs]),
        "malformed": sum(not np.isfinite(r.error_mm) for r in repairs),
    }


def _number(positions: Tensor) -> int:
    return int(positions.sum())


def _share(parts: Sequence[int], wholes: Sequence[int]) -> float:
    return sum(parts) / sum(wholes) if sum(wholes) else float("nan")


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
