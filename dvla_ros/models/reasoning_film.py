"""What DiffusionVLA tells its action head: the prompt, modulated by the model's own reasoning."""

from dataclasses import dataclass

from torch import Tensor, nn

from dvla_ros.errors import ConfigurationError, ObservationError


@dataclass(frozen=True)
class ReasoningFilmConfig:
    """Sizes of the reasoning injection.

    Attributes:
        width: Of the hidden states and of the condition; 1536 for Qwen2-VL-2B.
        using_film: False leaves the reasoning injection out: the condition is then the mean of all hidden states.
    """

    width: int = 1536
    using_film: bool = True

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ConfigurationError(f"width must be 1 or more, got {self.width}.")


@dataclass(frozen=True)
class TokenRanges:
    """Which tokens are prompt and which are the model's own; padding is neither.

    Attributes:
        prompt: bool `[B, L]`.
        reasoning: bool `[B, L]`.
    """

    prompt: Tensor
    reasoning: Tensor

    @classmethod
    def from_labels(cls, labels: Tensor, attention_mask: Tensor, ignore: int = -100) -> "TokenRanges":
        """Split at the first label that is to be predicted; without any, all of it is prompt.

        Args:
            labels: int64 `[B, L]`, `ignore` on the prompt.
            attention_mask: `[B, L]`, 0 or False on padding, on whichever side it is.
            ignore: The label that no loss is taken of.
        """
        answered = (labels != ignore).cumsum(dim=-1) > 0
        attended = attention_mask.bool()
        return cls(prompt=attended & ~answered, reasoning=attended & answered)


class PooledProjection(nn.Module):
    """Two linear layers with a GELU between them, on the mean of some tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlps = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, pooled: Tensor) -> Tensor:
        """`[B, width]` to `[B, width]`."""
        projected: Tensor = self.mlps(pooled)
        return projected


class Film(nn.Module):
    """y = x ⊙ (1 + W_s e + b_s) + (W_h e + b_h), the identity until it has learned (Perez et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_fc = nn.Linear(width, width)
        self.shift_fc = nn.Linear(width, width)
        for layer in (self.scale_fc, self.shift_fc):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        """Modulate `x` `[B, width]` by `e` `[B, width]`."""
        modulated: Tensor = x * (1 + self.scale_fc(e)) + self.shift_fc(e)
        return modulated


class ReasoningFilm(nn.Module):
    """The last layer's hidden states to the condition c = FiLM(e_in, e_re) + mean(H_p) (DiffusionVLA, code).

    e_in = MLP_in(mean(H_p)) of the prompt's hidden states H_p, e_re = MLP_re(mean(H_r)) of the generated ones. A model
    that ends its answer at once has no H_r: e_re is 0 then, and FiLM is left with its biases.
    """

    def __init__(self, config: ReasoningFilmConfig) -> None:
        super().__init__()
        self.config = config
        if config.using_film:
            self.input_action_proj = PooledProjection(config.width)
            self.reasoning_action_proj = PooledProjection(config.width)
            self.reasoning_film = Film(config.width)

    def forward(self, hidden: Tensor, ranges: TokenRanges) -> Tensor:
        """The condition of an action head.

        Args:
            hidden: Last layer's hidden states `[B, L, width]`; what padding holds is of no consequence.
            ranges: Masks `[B, L]`.

        Returns:
            `[B, width]` in the dtype of `hidden`.

        Raises:
            ObservationError: A row has no prompt.
        """
        if not ranges.prompt.is_meta and not bool(ranges.prompt.any(dim=-1).all()):
            raise ObservationError("A row has no prompt token; give every row an image or an instruction.")
        if not self.config.using_film:
            return _mean(hidden, ranges.prompt | ranges.reasoning)
        prompt = _mean(hidden, ranges.prompt)
        reasoning = self.reasoning_action_proj(_mean(hidden, ranges.reasoning))
        reasoning = reasoning.masked_fill(~ranges.reasoning.any(dim=-1, keepdim=True), 0.0)
        return self.reasoning_film(self.input_action_proj(prompt), reasoning) + prompt


def _mean(hidden: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen tokens, 0 where there is none; summed in single precision."""
    kept = hidden.float().masked_fill(~chosen.unsqueeze(-1), 0.0)  # NaN in padding must not survive a product with 0
    count = chosen.sum(dim=-1, keepdim=True).clamp_min(1)
    return (kept.sum(dim=1) / count).to(hidden.dtype)
