"""Statistics that LeRobot keeps of each episode and of the whole data set (`meta/stats.json`)."""

from dataclasses import dataclass

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
_LEVELS = np.arange(256)
_LONGEST_SIDE = 150
"""Pictures are counted on a grid of about as many pixels across."""


@dataclass(frozen=True)
class LerobotStatistics:
    """Of one feature.

    Attributes:
        values: By name (`min`, `max`, `mean`, `std`, `q01` … `q99`), each `[D]`, or `[3, 1, 1]` in 0..1 of pictures.
        count: Number of frames.
    """

    values: dict[str, np.ndarray]
    count: int

    def to_json(self) -> dict[str, object]:
        """As it stands in `stats.json`."""
        return {name: value.tolist() for name, value in self.values.items()} | {"count": [self.count]}


def of_numbers(rows: np.ndarray) -> LerobotStatistics:
    """Statistics of `[N]` or `[N, D]` numbers, N > 0."""
    table = np.asarray(rows, np.float64).reshape(len(rows), -1)
    quantiles = np.quantile(table, list(QUANTILES.values()), axis=0)
    values = {"min": table.min(0), "max": table.max(0), "mean": table.mean(0), "std": table.std(0)}
    return LerobotStatistics(values | dict(zip(QUANTILES, quantiles, strict=True)), len(table))


class LevelCounts:
    """How often each brightness occurs in each colour, from which all statistics of pictures follow."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, 256), np.int64)
        self._frames = 0

    def add(self, picture: np.ndarray) -> None:
        """Count an RGB uint8 `[h, w, 3]` picture."""
        step = max(1, max(picture.shape[:2]) // _LONGEST_SIDE)
        for colour in range(3):
            self._counts[colour] += np.bincount(picture[::step, ::step, colour].ravel(), minlength=256)
        self._frames += 1

    def merge(self, other: "LevelCounts") -> None:
        """Take in what another one counted."""
        self._counts += other._counts
        self._frames += other._frames

    def statistics(self) -> LerobotStatistics:
        """Of all pictures that were added, at least one."""
        share = self._counts / self._counts.sum(axis=1, keepdims=True)
        seen = self._counts > 0
        mean = share @ _LEVELS
        values = {
            "min": seen.argmax(axis=1),
            "max": 255 - seen[:, ::-1].argmax(axis=1),
            "mean": mean,
            "std": np.sqrt(np.maximum(share @ _LEVELS**2 - mean**2, 0.0)),
        }
        below = share.cumsum(axis=1)
        values |= {name: (below >= level - 1e-12).argmax(axis=1) for name, level in QUANTILES.items()}
        return LerobotStatistics(
            {name: np.reshape(value / 255.0, (3, 1, 1)) for name, value in values.items()}, self._frames
        )
