"""The action tokens of UD-VLA and DFM-VLA: which FAST tokenizer and which statistics belong to a checkpoint."""

from pathlib import Path
from typing import Any

from dvla_ros.actions.fast import PROCESSOR, FastTokenizer
from dvla_ros.actions.fast_chunk_codec import FastChunkCodec
from dvla_ros.actions.norm_stats import NormStats
from dvla_ros.errors import CheckpointError, ConfigurationError, DvlaError
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.emu3_sequence import SLOTS
from dvla_ros.weights.checkpoint_folder import json_in

MOST_FAST_IDS = 1024
FAST, STATISTICS = "fast", "norm_stats"


def read_codec(folder: Path, deployment: Deployment) -> FastChunkCodec:
    """The codec of a checkpoint; the files lie in its folder or beside it, or where the deployment says.

    Raises:
        CheckpointError: A file is broken, or tokenizer, statistics and actions do not fit each other.
        ConfigurationError: A file is not there, or there are several tokenizers to choose from.
    """
    where = fast_folder(folder, deployment)
    dim = len(deployment.action_names)
    horizon = deployment.horizon or _horizon(where)
    try:
        tokenizer = FastTokenizer.load(where, horizon=horizon, action_dim=dim)
    except ConfigurationError as error:
        raise CheckpointError(f"The FAST tokenizer {where} cannot be used: {error}") from error
    if tokenizer.vocabulary > MOST_FAST_IDS:
        raise CheckpointError(
            f"The FAST tokenizer {where} has {tokenizer.vocabulary} ids, Emu3's vocabulary has {MOST_FAST_IDS} for "
            "them. The universal tokenizer of 2048 is not the one that these systems were trained with, and with it "
            "they fail; take the one of the training, such as fast_libero_all_t10_s50."
        )
    statistics = deployment.file(STATISTICS, *(place / "norm_stats.json" for place in (folder, folder.parent)))
    try:
        normalizer = NormStats.load(statistics, deployment.unnorm_key or None).normalizer()
    except CheckpointError:
        raise
    except (DvlaError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"The statistics {statistics} cannot be used: {error}") from error
    if normalizer.dim != dim:
        raise CheckpointError(
            f"The statistics {statistics} are for {normalizer.dim} numbers, an action has {dim}: "
            f"{', '.join(deployment.action_names)}. Take those of the training, or set action_names."
        )
    return FastChunkCodec(deployment.in_metres(normalizer), tokenizer, SLOTS)


def fast_folder(folder: Path, deployment: Deployment) -> Path:
    """Where the FAST tokenizer lies: `fast` or the one `fast_…` in the checkpoint's folder or beside it.

    Raises:
        ConfigurationError: There is none, or there are several.
    """
    named = {place: sorted(path for path in place.glob("fast_*") if path.is_dir()) for place in (folder, folder.parent)}
    for place, paths in named.items():
        if FAST in deployment.files or (place / "fast").exists():
            break
        if len(paths) > 1:
            raise ConfigurationError(
                f"{place} has several FAST tokenizers, {[path.name for path in paths]}; name the one of the training "
                f"in the deployment file: files: {{{FAST}: PATH}}."
            )
        if paths:
            break
    return deployment.file(FAST, *(path for place, paths in named.items() for path in (place / "fast", *paths)))


def _horizon(where: Path) -> int | None:
    """Actions in a chunk where the folder does not say it; None where it does, or nothing can be known.

    The published folders do not. They were fitted to actions in -1..1 of which some, such as an open gripper, stay at a
    bound for a whole chunk: the smallest coefficient is then -scale sqrt(H).
    """
    config: dict[str, Any] = json_in(where, PROCESSOR)
    scale, smallest = config.get("scale"), config.get("min_token")
    if config.get("time_horizon") is not None or not isinstance(scale, (int, float)) or not isinstance(smallest, int):
        return None
    return max(1, round((smallest / scale) ** 2)) if scale else None
