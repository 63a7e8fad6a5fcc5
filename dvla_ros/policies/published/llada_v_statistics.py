"""The action statistics of LLaDA-VLA: a `dataset_statistics.json` in OpenVLA's form, of which the state is not read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dvla_ros.actions.normalization import FeatureStatistics, Normalizer, chosen_key
from dvla_ros.errors import ActionError, CheckpointError
from dvla_ros.weights.checkpoint_folder import json_in

STATISTICS = "dataset_statistics.json"


def action_normalizer(path: Path, key: str, columns: tuple[str, ...]) -> Normalizer:
    """Between the 1st and the 99th percentile of every column, the gripper's too.

    Args:
        path: The file.
        key: The data set; "" where the file holds only one.
        columns: Names of the columns of an action.

    Raises:
        CheckpointError: The file or the data set is missing, or the statistics are incomplete, not finite or for
            another number of columns.
    """
    blocks = json_in(path.parent, path.name)
    chosen = chosen_key(blocks, key or None, path)
    block: Any = blocks[chosen]
    action = block.get("action") if isinstance(block, dict) else None
    if not isinstance(action, dict):
        raise CheckpointError(f"{path}: the data set {chosen!r} has no statistics 'action'; take OpenVLA's form.")
    try:
        statistics = FeatureStatistics.from_json(action)
        normalizer = Normalizer.from_statistics(replace(statistics, mask=np.ones_like(statistics.mask)))
    except (ActionError, CheckpointError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the action statistics of {chosen!r} cannot be used: {error}") from error
    if normalizer.dim != len(columns):
        raise CheckpointError(
            f"{path}: the action statistics of {chosen!r} are for {normalizer.dim} columns, an action has "
            f"{len(columns)}: {', '.join(columns)}. Name another unnorm_key or other action_names in the deployment "
            "file."
        )
    return normalizer
