"""The figures of many episodes that ran through ROS."""

from collections.abc import Sequence

import numpy as np

from dvla_ros.evaluation.chunk_timing import percentiles
from dvla_ros.evaluation.ros_episode import RosEpisode
from dvla_ros.evaluation.statistics import percentile, wilson_interval
from dvla_ros.simulation.scene import COLOURS
from dvla_ros.simulation.tasks import ALL_FAMILIES, ALL_TASKS

NOTHING = "none"


def summarise(episodes: Sequence[RosEpisode]) -> dict[str, object]:
    """Success, confusion, times, network evaluations, latencies and camera frames of at least one episode."""
    families = {name: [e for e in episodes if ALL_TASKS[e.task].family == name] for name in ALL_FAMILIES}
    tasks = {name: [e for e in episodes if e.task == name] for name in ALL_TASKS}
    return {
        **success_rate(episodes),
        "by_task": {name: success_rate(group) for name, group in tasks.items() if group},
        "by_family": {name: success_rate(group) for name, group in families.items() if group},
        "confusion": {name: confusion(group) for name, group in families.items() if group},
        "simulated_s_mean": _mean([e.simulated_s for e in episodes if e.success]),
        "simulated_s_p50": percentile([e.simulated_s for e in episodes if e.success], 50),
        "chunks_mean": _mean([e.chunks for e in episodes]),
        "nfe": _mean([nfe for e in episodes for nfe in e.nfe]),
        "confidence": _mean([value for e in episodes for value in e.confidence]),
        "observation_to_command_ms": percentiles([timing for e in episodes for timing in e.timings]),
        "camera_frames_received": frames_received(episodes),
        "chunks_rejected": sum(e.chunks_rejected for e in episodes),
        "real_time_factor_min": min(e.real_time_factor for e in episodes),
        "failures": [[e.task, e.seed, e.outcome, e.detail] for e in episodes if not e.success],
    }


def success_rate(episodes: Sequence[RosEpisode]) -> dict[str, object]:
    """Episodes, successes, their ratio, and its 95 % confidence interval."""
    successes = sum(e.success for e in episodes)
    return {
        "episodes": len(episodes),
        "successes": successes,
        "success_rate": successes / len(episodes),
        "wilson_95": wilson_interval(successes, len(episodes)),
    }


def confusion(episodes: Sequence[RosEpisode]) -> dict[str, dict[str, int]]:
    """Colour asked for (rows) against colour moved as asked, or `none` (columns)."""
    table = {asked: dict.fromkeys((*COLOURS, NOTHING), 0) for asked in COLOURS}
    for episode in episodes:
        target = ALL_TASKS[episode.task].target
        moved = {"success": target, "wrong_object": episode.detail}.get(episode.outcome, NOTHING)
        table[target][moved] += 1
    return table


def frames_received(episodes: Sequence[RosEpisode]) -> float:
    """Camera frames that reached the policy, divided by those expected; NaN when none was expected."""
    expected = sum(e.frames_expected for e in episodes)
    return sum(e.frames_received for e in episodes) / expected if expected else float("nan")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
