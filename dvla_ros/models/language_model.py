"""Words around the trunk: embeddings before it and a head behind it, as in published language models."""

from typing import cast

from torch import Tensor, nn

from dvla_ros.models.head import SlicedHead
from dvla_ros.models.trunk import Trunk, TrunkConfig
from dvla_ros.weights.names import Location


class LanguageModel(nn.Module):
    """Embedding, trunk and head of one vocabulary.

    Args:
        config: Of the trunk.
        vocabulary: Rows of the embedding, V.
        tied: Whether the head is the embedding itself (Qwen2-VL 2B).
    """

    def __init__(self, config: TrunkConfig, vocabulary: int, tied: bool = False) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, config.width)
        self.trunk = Trunk(config)
        own = self.embed_tokens if tied else nn.Linear(config.width, vocabulary, bias=False)
        self.lm_head = SlicedHead(cast(nn.Parameter, own.weight))

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding, V."""
        return self.embed_tokens.num_embeddings

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids int64 `[B, L]` to `[B, L, W]`."""
        embedded: Tensor = self.embed_tokens(tokens)
        return embedded


def locate_language_model(name: str, prefix: str = "") -> Location:
    """Where a parameter of `LanguageModel` lies in a published checkpoint.

    Args:
        name: Of ours, e.g. `trunk.layers.0.mlp.up_proj.weight`, `embed_tokens.weight`, `lm_head.weight`.
        prefix: What published names begin with, e.g. `language_model.` in Prismatic's.
    """
    if name.startswith("lm_head."):
        return Location(prefix + name)
    return Location(f"{prefix}model.{name.removeprefix('trunk.')}")
