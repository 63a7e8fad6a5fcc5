"""What a policy's answers lose when its weights are held in fewer bits."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dvla_ros.errors import ActionError
from dvla_ros.policies.base import Prediction


@dataclass(frozen=True)
class Difference:
    """Two ways to answer, over the same observations with the same seeds.

    Attributes:
        chunks: Pairs of usable answers.
        unusable: Observations for which one of them had no usable chunk; left out of all else.
        tokens: Share of equal tokens; NaN where actions are no tokens.
        translation_mm: Mean distance between the translations of two actions in mm.
        rotation_deg: Mean size of the difference of their rotations, three angles together, in degrees.
        gripper: Share of actions whose grippers are on the same side of half open.
    """

    chunks: int
    unusable: int
    tokens: float
    translation_mm: float
    rotation_deg: float
    gripper: float


def difference(answers: Iterable[tuple[Prediction, Prediction]]) -> Difference:
    """Of pairs of answers with actions x, y, z in m, roll, pitch, yaw in rad and gripper 0 closed .. 1 open.

    Raises:
        ActionError: No pair has two usable chunks, or actions have other columns.
    """
    pairs = list(answers)
    usable = [(a, b) for a, b in pairs if a.usable and b.usable]
    if not usable:
        raise ActionError(f"None of {len(pairs)} pairs of answers has two usable chunks; nothing can be compared.")
    one, other = (np.concatenate([pair[i].actions for pair in usable]) for i in (0, 1))
    if one.shape[1] != 7:
        raise ActionError(f"Actions must have 7 columns to be compared, got {one.shape[1]}.")
    alike = [(a.tokens == b.tokens).ravel() for a, b in usable if a.tokens.size]
    return Difference(
        chunks=len(usable),
        unusable=len(pairs) - len(usable),
        tokens=float(np.concatenate(alike).mean()) if alike else float("nan"),
        translation_mm=1e3 * _mean_length(one[:, :3] - other[:, :3]),
        rotation_deg=float(np.degrees(_mean_length(one[:, 3:6] - other[:, 3:6]))),
        gripper=float(((one[:, 6] > 0.5) == (other[:, 6] > 0.5)).mean()),
    )


def _mean_length(rows: np.ndarray) -> float:
    return float(np.linalg.norm(rows, axis=1).mean())
