"""Bytes and operations of a trunk and of a head, counted from their shapes.

Activations, norms and the table of embeddings are left out: beside the weights they are nothing, and the floor is to be
a lower bound.
"""

from dataclasses import dataclass

from dvla_ros.evaluation.decode.work import Work
from dvla_ros.models.trunk_config import TrunkConfig


@dataclass(frozen=True)
class LayerNumbers:
    """How many numbers the matrices of one layer hold.

    Attributes:
        queries: Of the projection to queries.
        keys: Of that to keys; that to values has as many.
        rest: Of the output projection and the feed-forward part.
    """

    queries: int
    keys: int
    rest: int

    @classmethod
    def of(cls, config: TrunkConfig) -> "LayerNumbers":
        """Count them."""
        width, inner = config.width, config.heads * config.head_size
        matrices = 3 if config.mlp == "gated" else 2
        keys = width * config.kv_heads * config.head_size
        return cls(width * inner, keys, inner * width + matrices * width * config.intermediate)

    @property
    def total(self) -> int:
        """Of the whole layer."""
        return self.queries + 2 * self.keys + self.rest


def trunk_bytes(config: TrunkConfig, number_bytes: float) -> float:
    """Bytes of the weights of all layers."""
    return config.layers * LayerNumbers.of(config).total * number_bytes


def key_value_bytes(config: TrunkConfig, positions: int, number_bytes: float) -> float:
    """Bytes of the keys and values of so many positions in all layers."""
    return 2 * config.layers * config.kv_heads * config.head_size * positions * number_bytes


def pass_work(
    config: TrunkConfig,
    rows: int,
    keys: int,
    number_bytes: float,
    *,
    batch: int = 1,
    last: int | None = None,
    weight_bytes: float | None = None,
) -> Work:
    """A pass through all layers.

    Args:
        config: Shape of the trunk.
        rows: Positions that run.
        keys: Positions that each of them sees, itself among them; those that do not run are read.
        number_bytes: Bytes of a number.
        batch: Sequences that run together.
        last: Positions whose hidden states are wanted: the last layer runs no others, but for their keys and values.
        weight_bytes: Bytes of a number of the weights, where these are held in fewer.
    """
    numbers = LayerNumbers.of(config)
    wanted = rows if last is None else last
    projected = (config.layers - 1) * numbers.total * rows
    projected += 2 * numbers.keys * rows + (numbers.queries + numbers.rest) * wanted
    compared = 2 * config.heads * config.head_size * keys * ((config.layers - 1) * rows + wanted)
    read = trunk_bytes(config, weight_bytes or number_bytes) + batch * key_value_bytes(
        config, keys - rows, number_bytes
    )
    return Work(read, 2.0 * batch * (projected + compared))


def prefill_work(config: TrunkConfig, rows: int, number_bytes: float, weight_bytes: float | None = None) -> Work:
    """A pass of which only keys and values are kept: the last layer makes these and nothing else."""
    work = pass_work(config, rows, rows, number_bytes, last=0, weight_bytes=weight_bytes)
    numbers = LayerNumbers.of(config)
    return Work(work.nbytes - (numbers.queries + numbers.rest) * (weight_bytes or number_bytes), work.flop)


def head_work(width: int, vocabulary: int, positions: int, number_bytes: float, *, batch: int = 1) -> Work:
    """So many rows of a head for so many positions."""
    return Work(vocabulary * width * number_bytes, 2.0 * batch * vocabulary * width * positions)
