"""How far a recorded arm is behind its command, found in the recording itself."""

from collections.abc import Iterable

import numpy as np

from dvla_ros.control.chunk import ControlMode
from dvla_ros.datasets.read_options import MAX_LAG_S
from dvla_ros.recordings.episodes import RecordedEpisode
from dvla_ros.recordings.recorded_actions import ActionTrack

_STEP_S = 0.01
_ENOUGH_S = 200.0
"""More of a recording is not looked at."""
_MOVES_M = 0.02
"""An arm that is led less far (m) in a whole recording does not tell."""


def tracking_lag(commanded: ActionTrack, measured: ActionTrack, episodes: Iterable[RecordedEpisode]) -> float:
    """The delay at which the measured end effector lies nearest to the commanded one, by the mean distance.

    Args:
        commanded: Where the arm was told to be.
        measured: Where its joints were.
        episodes: When to look.

    Returns:
        Seconds in 0..`MAX_LAG_S`, a multiple of 10 ms; 0 where the arm hardly moves.
    """
    longest = round(MAX_LAG_S / _STEP_S)
    distances, frames, reach = np.zeros(longest + 1), np.zeros(longest + 1), 0.0
    for episode in episodes:
        count = int((episode.end - episode.start) / _STEP_S)
        if count <= longest or frames[0] * _STEP_S > _ENOUGH_S:
            continue
        told, seen = (
            track.rows(episode.start, _STEP_S, count, ControlMode.EE_POSE)[:, :3] for track in (commanded, measured)
        )
        known = told[np.isfinite(told).all(axis=1)]
        reach = max(reach, float(np.ptp(known, axis=0).max()) if len(known) else 0.0)
        for lag in range(longest + 1):
            apart = np.linalg.norm(seen[longest:] - told[longest - lag : count - lag], axis=1)
            apart = apart[np.isfinite(apart)]
            distances[lag] += apart.sum()
            frames[lag] += len(apart)
    if reach < _MOVES_M or not frames.all():
        return 0.0
    return float(np.argmin(distances / frames) * _STEP_S)
