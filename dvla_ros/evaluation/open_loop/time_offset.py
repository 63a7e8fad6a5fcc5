"""Whether cameras and joint states tell of the same motion at the same time."""

from dataclasses import dataclass

import numpy as np

LARGEST_S = 0.5
_STEP_S = 0.005
_FEWEST = 40
"""Pictures that an offset must be judged by."""

_CORRELATION = 0.4
_SPREAD_S = 0.03
_BLOCKS = 5


@dataclass(frozen=True)
class TimeOffset:
    """How much later than the joints a camera's pictures are stamped.

    Attributes:
        camera: Name of the camera.
        offset_s: Seconds; a picture stamped t shows what the joints did at t - offset. Above zero: pictures come late.
        correlation: Between change of picture and speed of the joints at this offset, -1..1.
        unshifted: The same without an offset.
        spread_s: Standard error of the offset, from leaving out one fifth of the recording after the other (jackknife).
        pictures: How many it was judged by.
        reliable: Whether the evidence is strong: enough pictures, correlation and agreement, and a best offset inside
            the range that was searched.
    """

    camera: str
    offset_s: float
    correlation: float
    unshifted: float
    spread_s: float
    pictures: int
    reliable: bool


def time_offset(camera: str, intervals: np.ndarray, times: np.ndarray, joints: np.ndarray) -> TimeOffset:
    """The offset at which a camera's pictures change most like the joints move.

    The change between two pictures is compared with the way of the joints between the same two times, shifted: finer
    than the pictures follow each other, and with uneven stamps.

    Args:
        camera: Name of the camera.
        intervals: `[n, 3]` of `PictureChange`.
        times: `[m]` seconds of the joint states, increasing.
        joints: `[m, 6]` rad.
    """
    offsets = _searched()
    usable = _covered(intervals, times)
    if len(usable) < _FEWEST:
        return TimeOffset(camera, 0.0, 0.0, 0.0, float("nan"), len(usable), False)
    change, speeds = _rate(usable), _speeds(usable, times, joints, offsets)
    found = _correlations(change, speeds)
    if not found.any():  # nothing moves, or nothing is to be seen of it
        return TimeOffset(camera, 0.0, 0.0, 0.0, float("nan"), len(usable), False)
    best = int(np.argmax(found))
    spread = _jackknife(change, speeds, offsets)
    reliable = found[best] >= _CORRELATION and spread <= _SPREAD_S and 0 < best < len(offsets) - 1
    return TimeOffset(
        camera=camera,
        offset_s=_peak(found, offsets),
        correlation=float(found[best]),
        unshifted=float(found[len(offsets) // 2]),
        spread_s=spread,
        pictures=len(usable),
        reliable=bool(reliable),
    )


@dataclass(frozen=True)
class OffsetCurve:
    """How alike pictures and joints move at every offset that was searched.

    Attributes:
        camera: Name of the camera.
        offsets: float64 `[k]` seconds; above zero: pictures come late.
        correlation: float64 `[k]`, -1..1.
    """

    camera: str
    offsets: np.ndarray
    correlation: np.ndarray


def offset_curve(camera: str, intervals: np.ndarray, times: np.ndarray, joints: np.ndarray) -> OffsetCurve:
    """The correlations among which `time_offset` looks for the largest; arguments are the same.

    Without enough pictures the curve is empty.
    """
    usable = _covered(intervals, times)
    if len(usable) < _FEWEST:
        return OffsetCurve(camera, np.empty(0), np.empty(0))
    offsets = _searched()
    return OffsetCurve(camera, offsets, _correlations(_rate(usable), _speeds(usable, times, joints, offsets)))


def _searched() -> np.ndarray:
    return np.arange(-round(LARGEST_S / _STEP_S), round(LARGEST_S / _STEP_S) + 1) * _STEP_S


def _covered(intervals: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The intervals for which joints are known at every offset."""
    if len(intervals) == 0 or len(times) < 2:
        return np.empty((0, 3))
    inside = (intervals[:, 0] - LARGEST_S >= times[0]) & (intervals[:, 1] + LARGEST_S <= times[-1])
    return np.asarray(intervals[inside])


def _rate(intervals: np.ndarray) -> np.ndarray:
    return np.asarray(intervals[:, 2] / (intervals[:, 1] - intervals[:, 0]))


def _speeds(intervals: np.ndarray, times: np.ndarray, joints: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Mean speed of the joints in each interval, for each offset, `[n, k]` in rad/s."""
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(joints, axis=0), axis=1))])
    ends = np.interp(intervals[:, 1, None] - offsets, times, way)
    starts = np.interp(intervals[:, 0, None] - offsets, times, way)
    return np.asarray((ends - starts) / (intervals[:, 1] - intervals[:, 0])[:, None])


def _correlations(change: np.ndarray, speeds: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the changes `[n]` with the speeds of every offset `[n, k]`; 0 where nothing varies."""
    a, b = change - change.mean(), speeds - speeds.mean(axis=0)
    size = np.sqrt(np.sum(a**2) * np.sum(b**2, axis=0))
    return np.asarray(np.where(size > 0.0, a @ b / np.where(size > 0.0, size, 1.0), 0.0))


def _peak(found: np.ndarray, offsets: np.ndarray) -> float:
    """The offset of the largest correlation, between the steps by a parabola."""
    best = int(np.argmax(found))
    if best in (0, len(found) - 1):
        return float(offsets[best])
    before, here, after = found[best - 1 : best + 2]
    curvature = before - 2.0 * here + after
    part = 0.5 * (before - after) / curvature if curvature < 0.0 else 0.0
    return float(offsets[best] + np.clip(part, -0.5, 0.5) * _STEP_S)


def _jackknife(change: np.ndarray, speeds: np.ndarray, offsets: np.ndarray) -> float:
    """Standard error of the offset: how much it depends on each fifth of the recording."""
    block = np.arange(len(change)) * _BLOCKS // len(change)
    peaks = np.array(
        [_peak(_correlations(change[block != left], speeds[block != left]), offsets) for left in range(_BLOCKS)]
    )
    return float(np.sqrt((_BLOCKS - 1) / _BLOCKS * np.sum((peaks - peaks.mean()) ** 2)))
