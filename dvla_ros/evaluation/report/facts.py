"""The figures of an evaluation as JSON has them."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from dvla_ros.evaluation.evaluation_result import BagFacts, EpisodeFacts, EvaluationResult, VariantResult
from dvla_ros.evaluation.json_numbers import known

HEADLINE = (
    "episodes",
    "steps",
    "mae",
    "rmse",
    "gripper_accuracy",
    "seam_jump",
    "ece",
    "decode_ms_p50",
    "realtime_factor",
)
"""Figures of the first variant that stand at the top."""


def facts(result: EvaluationResult) -> dict[str, object]:
    """Everything but the pictures; null for what is not known.

    At the top stand the figures of the first variant and all warnings, then every variant, what was asked again,
    episodes, recordings and how it all came about.
    """
    first = result.variants[0].figures
    values: dict[str, object] = {name: getattr(first, name) for name in HEADLINE}
    values |= {
        "warnings": list(result.warnings),
        "replay": _replay(result.variants[0]),
        "variants": [_variant(variant) for variant in result.variants],
        "recorded_episodes": [_episode(episode) for episode in result.episodes],
        "recordings": [_bag(bag) for bag in result.bags],
        "real_time": [figures.to_json() for figures in result.real_time],
        "metadata": dict(result.metadata),
    }
    found = known(values)
    assert isinstance(found, dict)
    return found


def _variant(variant: VariantResult) -> dict[str, object]:
    return {
        "name": variant.name,
        "checkpoint": str(variant.checkpoint),
        "fingerprint": variant.fingerprint,
        "system": variant.system,
        "decoder": variant.decoder,
        "device": variant.device,
        "cameras": list(variant.cameras),
        "control_mode": variant.mode.name,
        "action_names": list(variant.names),
        "dt": variant.dt,
        "horizon": variant.horizon,
        "execute_steps": variant.execute_steps,
        "figures": variant.figures.to_json(),
        "mae_difference": variant.mae_difference,
        "mae_difference_interval": asdict(variant.mae_difference_interval),
        "replay": _replay(variant),
        "unanswered": dict(variant.unanswered),
        "recorded_s": variant.recorded_s,
        "wall_s": variant.wall_s,
        "first_rows": _first_rows(variant),
    }


def _replay(variant: VariantResult) -> dict[str, object]:
    return asdict(variant.replay) | {"exact": variant.replay.exact}


def _first_rows(variant: VariantResult) -> Mapping[str, object]:
    """Row 0 of every prediction beside what was recorded: what the plots over time show."""
    return {
        "episode": [sample.episode for sample in variant.samples],
        "time": [sample.anchor for sample in variant.samples],
        "predicted": [_numbers(sample.predicted[0]) for sample in variant.samples],
        "recorded": [_numbers(sample.recorded[0]) for sample in variant.samples],
    }


def _numbers(row: np.ndarray) -> list[float]:
    return [float(value) for value in row]


def _episode(episode: EpisodeFacts) -> dict[str, object]:
    return asdict(episode) | {"bag": str(episode.bag)}


def _bag(bag: BagFacts) -> dict[str, object]:
    return asdict(bag) | {"path": str(bag.path)}
