"""The small network of DiffusionVLA: perceive, reason in words, then denoise a chunk of numbers (arXiv 2412.03293).

Prompt tokens see each other; a word sees the prompt and what is not after it. The last layer's hidden states of prompt
and words become one condition vector (`ReasoningFilm`), and a diffusion head draws the chunk.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.attention import Block, Levels, attention_mask
from dvla_ros.models.ddim import DdimConfig
from dvla_ros.models.key_value_cache import PrefixCache
from dvla_ros.models.perception import Percept, Perception, PerceptionConfig
from dvla_ros.models.reasoning_film import ReasoningFilm, ReasoningFilmConfig, TokenRanges
from dvla_ros.models.scale_dp import ScaleDP, ScaleDPConfig
from dvla_ros.models.trunk import Trunk, TrunkConfig
from dvla_ros.models.unet1d import ConditionalUnet1D, Unet1DConfig

Head = Literal["unet1d", "scale_dp"]


@dataclass(frozen=True)
class UnetSizes:
    """Sizes of a small U-Net head, see `Unet1DConfig`."""

    down_dims: tuple[int, ...] = (64, 128)
    kernel_size: int = 5
    groups: int = 8
    step_width: int = 64


@dataclass(frozen=True)
class ScaleDPSizes:
    """Sizes of a small diffusion transformer head, see `ScaleDPConfig`."""

    depth: int = 4
    width: int = 128
    heads: int = 4
    mlp_ratio: int = 4
    combine_width: int = 128


@dataclass(frozen=True)
class SmallDivlaConfig:
    """Sizes of the network.

    Attributes:
        perception: Sizes of what reads the observation.
        heads: Attention heads of the trunk.
        layers: Blocks of the trunk.
        horizon: Rows of an action chunk, H.
        action_dim: Columns of an action chunk, D.
        vocabulary: Token ids of the reasoning; 0 for a network that does not reason (the TinyVLA form, without FiLM).
        reasoning_length: Most tokens of an answer, its end included.
        using_film: Whether the reasoning modulates the condition; otherwise that is the mean of all hidden states.
        pool_end: Whether training also pools the hidden state of the answer's end. The released code does; when it
            generates, that state does not exist, since nothing is predicted after the end. False is the same in both.
        head: `unet1d` (DiffusionVLA) or `scale_dp` (DexVLA).
        unet1d: Sizes of that head.
        scale_dp: Sizes of that head.
        noise_levels: Noise levels that the head learns, T.
    """

    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    heads: int = 4
    layers: int = 4
    horizon: int = 8
    action_dim: int = 7
    vocabulary: int = 64
    reasoning_length: int = 20
    using_film: bool = True
    pool_end: bool = False
    head: Head = "unet1d"
    unet1d: UnetSizes = field(default_factory=UnetSizes)
    scale_dp: ScaleDPSizes = field(default_factory=ScaleDPSizes)
    noise_levels: int = 100

    def __post_init__(self) -> None:
        if self.perception.width % self.heads:
            raise ConfigurationError(
                f"width must be a multiple of heads, got {self.perception.width} and {self.heads}."
            )
        if min(self.horizon, self.action_dim, self.layers, self.reasoning_length) < 1 or self.vocabulary < 0:
            raise ConfigurationError(f"every size must be 1 or more (vocabulary 0 or more), got {self}.")
        if self.using_film and not self.reasons:
            raise ConfigurationError("A network without words (vocabulary 0) has no reasoning: set using_film=False.")
        if self.head not in get_args(Head):
            raise ConfigurationError(f"head must be one of {get_args(Head)}, got {self.head!r}.")
        if isinstance(self.head_config, Unet1DConfig):
            self.head_config.check_horizon(self.horizon)
        _ = self.ddim()  # whose own checks apply here as well

    @property
    def reasons(self) -> bool:
        """Whether the network says something before it acts."""
        return self.vocabulary > 0

    @property
    def head_config(self) -> Unet1DConfig | ScaleDPConfig:
        """Sizes of the chosen head."""
        sizes: dict[str, Any] = {
            "action_dim": self.action_dim,
            "state_dim": self.perception.state_dim,
            "condition_width": self.perception.width,
        }
        if self.head == "unet1d":
            return Unet1DConfig(**sizes, **asdict(self.unet1d))
        return ScaleDPConfig(**sizes, horizon=self.horizon, **asdict(self.scale_dp))

    def ddim(self, num_steps: int = 1, clip_sample: bool = True, resamplings: int = 1) -> DdimConfig:
        """The diffusion that the head is for, sampled in `num_steps`."""
        return DdimConfig(self.noise_levels, num_steps, clip_sample, resamplings)


@dataclass(frozen=True)
class Prompt:
    """What the network made of an observation.

    Attributes:
        percept: What it perceived.
        hidden: Last layer's hidden states `[B, P + 1, width]`; the last position asks for the answer.
        cache: Keys and values for the words.
    """

    percept: Percept
    hidden: Tensor
    cache: PrefixCache


@dataclass(frozen=True)
class Answer:
    """What the network said.

    Attributes:
        tokens: int64 `[B, n]`; after a row's end, its end again.
        hidden: Hidden states `[B, m, width]` of the words that were run, m = n - 1: nothing follows the last one.
        pooled: bool `[B, m]`, which of them are the row's words.
    """

    tokens: Tensor
    hidden: Tensor
    pooled: Tensor

    @property
    def evaluations(self) -> int:
        """How often the trunk was run."""
        return self.hidden.shape[1]


@dataclass(frozen=True)
class TaughtAnswer:
    """What the network makes of an observation and an answer that it is told.

    Attributes:
        percept: What it perceived.
        logits: `[B, R, vocabulary]` of each word, given those before it.
        condition: `[B, width]`, see `SmallDivla.condition`.
    """

    percept: Percept
    logits: Tensor
    condition: Tensor


class SmallDivla(nn.Module):
    """Observation to prompt, prompt to words, both to the condition of an action head."""

    def __init__(self, config: SmallDivlaConfig) -> None:
        super().__init__()
        width = config.perception.width
        self.config = config
        self.perception = Perception(config.perception)
        self.trunk = Trunk(TrunkConfig.small(width, config.heads, config.layers))
        self.begin = nn.Parameter(torch.randn(width) * 0.1)
        if config.reasons:
            self.words = nn.Embedding(config.vocabulary, width)
            nn.init.normal_(self.words.weight, std=0.1)
            self.word_position = nn.Parameter(torch.randn(config.reasoning_length, width) * 0.1)
            self.word_head = nn.Linear(width, config.vocabulary)
        self.film = ReasoningFilm(ReasoningFilmConfig(width, config.using_film))
        head = config.head_config
        self.policy_head = ConditionalUnet1D(head) if isinstance(head, Unet1DConfig) else ScaleDP(head)

    def prefill(self, images: Tensor, text: Tensor, state: Tensor) -> Prompt:
        """Encode an observation; arguments as for `Perception.forward`."""
        return self.prefill_percept(self.perception(images, text, state))

    def prefill_percept(self, percept: Percept) -> Prompt:
        """The prompt of an observation that was perceived already."""
        hidden, cache = self.trunk.extend(self._prompt(percept), PrefixCache())
        return Prompt(percept, hidden, cache)

    @torch.no_grad()
    def reason(
        self, prompt: Prompt, end: int, max_tokens: int | None = None, stop: Callable[[], bool] = lambda: False
    ) -> Answer:
        """Say the likeliest word, one after the other, until the end.

        Args:
            prompt: Of B observations.
            end: Token that ends an answer.
            max_tokens: Most tokens; None for as many as the network was made for, which is also the bound.
            stop: Asked before each word after the first; True breaks off.
        """
        length = self._length(max_tokens)
        hidden, cache = prompt.hidden[:, -1:], prompt.cache
        tokens = [self.word_head(hidden).argmax(dim=-1)]
        states = [hidden[:, :0]]
        while len(tokens) < length and not bool((tokens[-1] == end).all()) and not stop():
            hidden, cache = self.trunk.extend(self._embed(tokens[-1], begin=len(tokens) - 1), cache)
            states.append(hidden)
            tokens.append(torch.where(tokens[-1] == end, end, self.word_head(hidden).argmax(dim=-1)))
        answer = torch.cat(tokens, dim=1)
        return Answer(answer, torch.cat(states, dim=1), answer[:, :-1] != end)

    def condition(self, prompt: Prompt, answer: Answer | None) -> Tensor:
        """What the action head is told, `[B, width]`; without an answer, e_re is 0."""
        batch, asked, _ = prompt.hidden.shape
        prompted = torch.ones(batch, asked, dtype=torch.bool, device=prompt.hidden.device)
        said = prompted[:, :0] if answer is None else answer.pooled
        hidden = prompt.hidden if answer is None else torch.cat([prompt.hidden, answer.hidden], dim=1)
        return self._pooled(hidden, prompted, said)

    def teach(self, images: Tensor, text: Tensor, state: Tensor, reasoning: Tensor) -> TaughtAnswer:
        """Prompt and a given answer at once, as training does.

        Args:
            images: As for `Perception.forward`.
            text: Likewise.
            state: Likewise.
            reasoning: int64 `[B, R]`, answers with their ends, -1 behind them.
        """
        percept = self.perception(images, text, state)
        prompt = self._prompt(percept)
        asked, length = prompt.shape[1], reasoning.shape[1]
        blocks = Levels.of([Block(asked, 0), Block(length, 1, causal=True)], prompt.device)
        answer = self._embed(reasoning.clamp_min(0))
        hidden = self.trunk(torch.cat([prompt, answer], dim=1), attention_mask(blocks, "block_causal"))
        said = self._pooled_words(reasoning)
        prompted = torch.ones(len(prompt), asked, dtype=torch.bool, device=prompt.device)
        return TaughtAnswer(percept, self.word_head(hidden[:, asked - 1 : -1]), self._pooled(hidden, prompted, said))

    def encode_condition(self, condition: Tensor, state: Tensor) -> Tensor:
        """Join the condition `[B, width]` with the normalised state `[B, S]`, for the action head."""
        return self.policy_head.encode_condition(condition, state)

    def _prompt(self, percept: Percept) -> Tensor:
        begin = self.begin.expand(len(percept.tokens), 1, -1)
        return torch.cat([percept.tokens, begin], dim=1)

    def _embed(self, tokens: Tensor, begin: int = 0) -> Tensor:
        embedded: Tensor = self.words(tokens) + self.word_position[begin : begin + tokens.shape[1]]
        return embedded

    def _pooled_words(self, reasoning: Tensor) -> Tensor:
        if self.config.pool_end:
            return reasoning >= 0
        following = nn.functional.pad(reasoning[:, 1:], (0, 1), value=-1)
        return following >= 0  # what nothing follows is the end

    def _pooled(self, hidden: Tensor, prompted: Tensor, said: Tensor) -> Tensor:
        nothing_said, nothing_prompted = torch.zeros_like(prompted), torch.zeros_like(said)
        ranges = TokenRanges(
            prompt=torch.cat([prompted, nothing_prompted], dim=1), reasoning=torch.cat([nothing_said, said], dim=1)
        )
        pooled: Tensor = self.film(hidden, ranges)
        return pooled

    def _length(self, max_tokens: int | None) -> int:
        if not self.config.reasons:
            raise ConfigurationError("This network was made without words (vocabulary 0); it cannot reason.")
        longest = self.config.reasoning_length
        if max_tokens is not None and not 1 <= max_tokens <= longest:
            raise ConfigurationError(f"max_tokens must be in 1..{longest}, got {max_tokens}.")
        return longest if max_tokens is None else max_tokens
