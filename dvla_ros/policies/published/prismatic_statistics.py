"""Statistics of the data set that a Prismatic checkpoint was fine-tuned on, and what follows from which one it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvla_ros.actions.normalization import Bounds, FeatureStatistics, Normalizer, chosen_key
from dvla_ros.errors import ActionError, CheckpointError
from dvla_ros.weights.checkpoint_folder import json_in

FILE = "dataset_statistics.json"
_IN_CONFIG = "norm_stats"


@dataclass(frozen=True)
class Platform:
    """What OpenVLA-OFT fixes for a kind of robot; there it is chosen by a word of the command line.

    Attributes:
        name: The word, looked for in the name of the data set.
        horizon: Actions of a chunk, H.
        bounds: What becomes -1 and 1.
    """

    name: str
    horizon: int
    bounds: Bounds


PLATFORMS = (Platform("libero", 8, "quantile"), Platform("aloha", 25, "min_max"), Platform("bridge", 5, "quantile"))


def platform_of(key: str) -> Platform:
    """The platform of a data set; LIBERO's numbers for one that names none."""
    named = [platform for platform in PLATFORMS if platform.name in key.lower()]
    return named[0] if named else PLATFORMS[0]


@dataclass(frozen=True)
class PrismaticStatistics:
    """Statistics of one data set.

    Attributes:
        source: The file they stand in.
        key: Name of the data set.
        action: Of the actions.
        proprio: Of the states; None where the data set has none.
    """

    source: Path
    key: str
    action: FeatureStatistics
    proprio: FeatureStatistics | None

    @classmethod
    def read(cls, folder: Path, config: Mapping[str, Any], key: str) -> "PrismaticStatistics":
        """Read `dataset_statistics.json`, or where it is missing `norm_stats` of `config.json`.

        Args:
            folder: The checkpoint.
            config: Its `config.json`.
            key: Name of the data set; "" where there is only one. `<key>_no_noops` is tried after `<key>`.

        Raises:
            CheckpointError: There are no statistics, the data set is not among them or must be named, or they are
                incomplete.
        """
        source, blocks = _blocks(folder, config)
        found = chosen_key(blocks, key or None, source)
        block = blocks[found]
        where = f"{source}, {found}"
        if not isinstance(block, Mapping) or "action" not in block:
            raise CheckpointError(f"{where}: there are no statistics of actions; copy the file from the training run.")
        proprio = _feature(block["proprio"], f"{where}, proprio") if block.get("proprio") else None
        return cls(source, found, _feature(block["action"], f"{where}, action"), proprio)

    @property
    def platform(self) -> Platform:
        """Of the data set."""
        return platform_of(self.key)

    def action_normalizer(self) -> Normalizer:
        """Physical actions to -1..1.

        Raises:
            CheckpointError: The statistics are not finite or contradict each other.
        """
        return self._normalizer(self.action, "action")

    def state_normalizer(self) -> Normalizer:
        """Physical states to -1..1.

        Raises:
            CheckpointError: There are none, or they are not finite or contradict each other.
        """
        if self.proprio is None:
            raise CheckpointError(
                f"{self.source}, {self.key}: the checkpoint takes a state, but there are no statistics 'proprio'; copy "
                "the file of the training run."
            )
        return self._normalizer(self.proprio, "proprio")

    def _normalizer(self, statistics: FeatureStatistics, name: str) -> Normalizer:
        try:
            return Normalizer.from_statistics(statistics, self.platform.bounds)
        except ActionError as error:
            raise CheckpointError(f"{self.source}, {self.key}, {name}: {error}") from error


def _blocks(folder: Path, config: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    if (folder / FILE).exists():
        return folder / FILE, json_in(folder, FILE)
    blocks = config.get(_IN_CONFIG)
    if not isinstance(blocks, Mapping) or not blocks:
        raise CheckpointError(
            f"{folder} has no {FILE}, and config.json no {_IN_CONFIG}: without them actions have no units. Copy the "
            "file that training wrote beside the weights."
        )
    return folder / "config.json", blocks


def _feature(block: Any, where: str) -> FeatureStatistics:
    try:
        return FeatureStatistics.from_json(block)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from error
    except (ActionError, TypeError, ValueError) as error:
        raise CheckpointError(f"{where}: these are no lists of numbers of one length: {error}") from error
