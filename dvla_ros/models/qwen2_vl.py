"""Qwen2-VL (arXiv 2409.12191): images and words in, hidden states and the likeliest words out.

The image tower is the one of `transformers`; the language model is our trunk. Where an image goes, the sequence holds
image tokens whose embeddings are replaced by the tower's features.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from dvla_ros.models.attention import causal_mask
from dvla_ros.models.head import TokenRows
from dvla_ros.models.key_value_cache import PrefixCache, StaticCache
from dvla_ros.models.language_model import LanguageModel, locate_language_model
from dvla_ros.models.qwen2_vl_config import Qwen2VisionConfig, Qwen2VLConfig
from dvla_ros.models.qwen2_vl_positions import Grid, sequence_positions
from dvla_ros.models.rotary import text_positions
from dvla_ros.weights.names import Location


@dataclass(frozen=True)
class Question:
    """A prompt before it is read.

    Attributes:
        ids: Token ids int64 `[L]`, image tokens included.
        patches: Patches of all images, one behind the other, float `[N, C * T * P * P]`.
        grids: Patches of each image along its axes; together N.
    """

    ids: Tensor
    patches: Tensor
    grids: tuple[Grid, ...]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Question":
        """The same on a device, the patches in another type."""
        return replace(self, ids=self.ids.to(device), patches=self.patches.to(device, dtype))


@dataclass(frozen=True)
class ReadPrompt:
    """A prompt that was read.

    Attributes:
        hidden: Last layer's hidden states `[1, L, W]`.
        cache: Keys and values, with room for an answer.
        next_position: Where the answer begins.
    """

    hidden: Tensor
    cache: StaticCache | PrefixCache
    next_position: int


@dataclass(frozen=True)
class SaidWords:
    """An answer.

    Attributes:
        tokens: int64 `[n]`, the end included where it was reached.
        hidden: Last layer's hidden states `[1, m, W]` of the words that were run, m = n - 1: nothing follows the last.
    """

    tokens: Tensor
    hidden: Tensor

    @property
    def evaluations(self) -> int:
        """How often the language model was run."""
        return self.hidden.shape[1]


class Qwen2VL(nn.Module):
    """Image tower and language model, for one prompt at a time."""

    def __init__(self, config: Qwen2VLConfig) -> None:
        super().__init__()
        self.config = config
        self.visual = vision_tower(config.vision)
        self.language = LanguageModel(config.trunk, config.vocabulary, config.tied)

    @cached_property
    def _all_rows(self) -> TokenRows:
        return TokenRows.of(range(self.config.vocabulary))

    def features(self, patches: Tensor, grids: tuple[Grid, ...]) -> Tensor:
        """Tokens of images for the language model, `[tokens, W]`; arguments as in `Question`."""
        device = "cpu" if patches.is_meta else patches.device  # the tower looks at their values
        features: Tensor = self.visual(patches, grid_thw=torch.tensor(grids, device=device)).pooler_output
        return features

    def embed(self, question: Question) -> Tensor:
        """The sequence that the trunk reads, `[1, L, W]`."""
        embedded = self.language.embed(question.ids)
        if question.grids:
            is_image = question.ids == self.config.image_token
            embedded = embedded.masked_scatter(is_image.unsqueeze(-1), self.features(question.patches, question.grids))
        return embedded.unsqueeze(0)

    def read(self, question: Question, longest_answer: int = 0) -> ReadPrompt:
        """Run a prompt; room is made for an answer of so many tokens, where no gradients are recorded.

        Raises:
            ObservationError: The image tokens are not those of the images.
        """
        merge, length = self.config.vision.spatial_merge_size, question.ids.shape[0]
        positions = sequence_positions(question.ids.tolist(), question.grids, self.config.image_token, merge)
        device = question.ids.device
        trunk = self.language.trunk
        cache: StaticCache | PrefixCache = (
            PrefixCache() if torch.is_grad_enabled() else trunk.static_cache(1, length + longest_answer)
        )
        hidden, cache = trunk.extend(
            self.embed(question), cache, causal_mask(length, length, device), positions.to(device)
        )
        return ReadPrompt(hidden, cache, int(positions.max()) + 1)

    def say(self, prompt: ReadPrompt, max_tokens: int, late: Callable[[], bool] = lambda: False) -> SaidWords:
        """Say the likeliest word, one after the other.

        Args:
            prompt: Read with room for `max_tokens`.
            max_tokens: 1 or more; an answer that long has no end.
            late: Asked before each word after the first; True breaks off.
        """
        hidden, cache = prompt.hidden[:, -1:], prompt.cache
        device = hidden.device
        words, states = [self._likeliest(hidden)], [hidden[:, :0]]
        while len(words) < max_tokens and int(words[-1]) not in self.config.ends and not late():
            position = text_positions(1, prompt.next_position + len(words) - 1, device)
            hidden, cache = self.language.trunk.extend(
                self.language.embed(words[-1]).unsqueeze(0), cache, positions=position
            )
            states.append(hidden)
            words.append(self._likeliest(hidden))
        return SaidWords(torch.cat(words), torch.cat(states, dim=1))

    def _likeliest(self, hidden: Tensor) -> Tensor:
        """Of hidden states `[1, 1, W]` the most probable next token, int64 `[1]`."""
        logits: Tensor = self.language.lm_head(hidden[:, -1], self._all_rows)
        return logits.argmax(dim=-1)


def vision_tower(config: Qwen2VisionConfig) -> nn.Module:
    """The image tower of `transformers`, whose parameters have the published names."""
    # transformers takes seconds to import; only who runs such a model pays for it.
    from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

    sizes: dict[str, Any] = dict(vars(config))
    tower: nn.Module = Qwen2VisionTransformerPretrainedModel(Qwen2VLVisionConfig(**sizes, attn_implementation="sdpa"))
    return tower


def locate_qwen2_vl(name: str) -> Location:
    """Where a parameter of `Qwen2VL` lies in a published checkpoint, e.g. `visual.*`, `model.layers.*`."""
    if name.startswith("visual."):
        return Location(name)
    return locate_language_model(name.removeprefix("language."))
