"""The units that a published checkpoint's increments are in, turned into metres and radians."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dvla_ros.actions.normalization import Normalizer
from dvla_ros.errors import CheckpointError

LIBERO_STEP = np.array([0.05, 0.05, 0.05, 0.5, 0.5, 0.5])
"""Metres and radians that 1 is for LIBERO's controller: `output_max` of robosuite's `osc_pose.json`."""

METRIC, LIBERO = "metric", "libero"
UNITS: Mapping[str, np.ndarray] = {METRIC: np.ones(6), LIBERO: LIBERO_STEP}
"""Metres and radians of one unit in each column before the gripper's, by name."""


def in_metres(normalizer: Normalizer, units: str) -> Normalizer:
    """The normaliser whose physical side is metres and radians; what is normalised stays as it was.

    Args:
        normalizer: Of actions, D numbers, the gripper last.
        units: One of `UNITS`; `metric` changes nothing.

    Raises:
        CheckpointError: It is not for seven numbers, or one that is to be converted passes through unnormalised.
    """
    if units == METRIC:
        return normalizer
    factors = np.append(UNITS[units], 1.0)
    if normalizer.dim != len(factors) or not normalizer.mask[:-1].all():
        raise CheckpointError(
            f"units: {units} needs statistics of {len(factors)} numbers, all but the gripper normalised; these have "
            f"{normalizer.dim}, normalised {normalizer.mask.tolist()}. Choose the right unnorm_key, or units: {METRIC}."
        )
    return replace(normalizer, low=normalizer.low * factors, high=normalizer.high * factors)
