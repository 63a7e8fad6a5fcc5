"""The canvas: the token positions that are being generated, and which of them are fixed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.errors import ActionError, ConfigurationError

FREE = -1  # marks a position of `prefilled` or `frozen_tokens` that the decoder may fill


@dataclass(frozen=True)
class Segment:
    """A run of positions laid out as steps x dims, row-major: position = step * dims + dim.

    Attributes:
        name: What the segment holds, e.g. `action`.
        steps: Rows H.
        dims: Columns D.
        vocabulary: Number of token ids, at least 2; valid ids are 0..vocabulary-1.
        prefilled: One id per position that is the same in every canvas, `FREE` elsewhere; empty for none.

    Raises:
        ConfigurationError: A size is too small, or `prefilled` has the wrong length or an unknown id.
    """

    name: str
    steps: int
    dims: int
    vocabulary: int
    prefilled: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.steps, self.dims, self.vocabulary - 1) < 1:
            raise ConfigurationError(
                f"Segment '{self.name}' needs steps and dims of at least 1 and a vocabulary of at least 2, got "
                f"steps={self.steps}, dims={self.dims}, "
                f"vocabulary={self.vocabulary}."
            )
        if self.prefilled and len(self.prefilled) != self.length:
            raise ConfigurationError(
                f"Segment '{self.name}' has {self.length} positions and {len(self.prefilled)} prefilled ids; "
                f"give one per position, {FREE} where free."
            )
        wrong = [token for token in self.prefilled if not FREE <= token < self.vocabulary]
        if wrong:
            raise ConfigurationError(
                f"Segment '{self.name}' is prefilled with {wrong}; valid ids are 0..{self.vocabulary - 1}, or {FREE}."
            )

    @property
    def length(self) -> int:
        """Number of positions, H * D."""
        return self.steps * self.dims


@dataclass(frozen=True)
class Canvas:
    """Segments side by side, L positions in all, over one vocabulary; MASK is the id after the last token.

    Attributes:
        segments: In the order of their positions.

    Raises:
        ConfigurationError: No segment, a name twice, or segments of different vocabularies.
    """

    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        names = [segment.name for segment in self.segments]
        if not names or len(set(names)) != len(names):
            raise ConfigurationError(f"A canvas needs segments with different names, got {names}.")
        if len({segment.vocabulary for segment in self.segments}) != 1:
            raise ConfigurationError(
                f"All segments of a canvas share one vocabulary, got {[s.vocabulary for s in self.segments]}."
            )

    @property
    def length(self) -> int:
        """Number of positions L."""
        return sum(segment.length for segment in self.segments)

    @property
    def vocabulary(self) -> int:
        """Number of token ids V, without MASK."""
        return self.segments[0].vocabulary

    @property
    def mask_token(self) -> int:
        """The id that means "still masked": V. A network embeds V + 1 ids and scores V."""
        return self.vocabulary

    @property
    def free_length(self) -> int:
        """Number of positions that are not prefilled."""
        return self.length - sum(token != FREE for segment in self.segments for token in segment.prefilled)

    def span(self, name: str) -> slice:
        """Positions of one segment.

        Raises:
            ConfigurationError: There is no such segment.
        """
        start = 0
        for segment in self.segments:
            if segment.name == name:
                return slice(start, start + segment.length)
            start += segment.length
        raise ConfigurationError(f"The canvas has no segment '{name}', only {[s.name for s in self.segments]}.")

    def freeze_leading(self, name: str, tokens: Tensor) -> Tensor:
        """Frozen tokens for a canvas whose first rows in one segment are given.

        Args:
            name: Segment.
            tokens: int64 `[B, d, D]` ids of the first d rows, 0 <= d <= H.

        Returns:
            int64 `[B, L]`, `FREE` where the decoder is to choose.

        Raises:
            ActionError: More rows than the segment has, or another number of columns.
            ConfigurationError: There is no such segment.
        """
        span = self.span(name)
        segment = next(segment for segment in self.segments if segment.name == name)
        if tokens.ndim != 3 or tokens.shape[1] > segment.steps or tokens.shape[2] != segment.dims:
            raise ActionError(
                f"Frozen rows for '{name}' must be [B, d <= {segment.steps}, {segment.dims}], got {list(tokens.shape)}."
            )
        frozen = torch.full((tokens.shape[0], self.length), FREE, dtype=torch.int64, device=tokens.device)
        flat = tokens.flatten(1)
        frozen[:, span.start : span.start + flat.shape[1]] = flat
        return frozen

    def initial(self, batch_size: int, frozen_tokens: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor]:
        """The canvas before the first denoising step: everything MASK but the prefilled and frozen positions.

        Args:
            batch_size: B.
            frozen_tokens: int64 `[B, L]`, `FREE` where the decoder is to choose; None freezes nothing.
            device: Where the canvas lives.

        Returns:
            Tokens int64 `[B, L]` and fixed positions bool `[B, L]`.

        Raises:
            ActionError: `frozen_tokens` has the wrong shape, an id outside the vocabulary, or differs from
                a prefilled one.
        """
        known = self._prefilled(device).expand(batch_size, -1)
        if frozen_tokens is not None:
            frozen_tokens = self._checked(frozen_tokens, batch_size).to(device)
            if bool(((known != FREE) & (frozen_tokens != FREE) & (known != frozen_tokens)).any()):
                raise ActionError("Frozen tokens differ from the prefilled ones of the canvas; leave those free.")
            known = torch.where(known == FREE, frozen_tokens, known)
        fixed = known != FREE
        return torch.where(fixed, known, self.mask_token), fixed

    def _prefilled(self, device: torch.device) -> Tensor:
        ids = [token for s in self.segments for token in (s.prefilled or (FREE,) * s.length)]
        return torch.tensor([ids], dtype=torch.int64, device=device)

    def _checked(self, frozen_tokens: Tensor, batch_size: int) -> Tensor:
        if frozen_tokens.shape != (batch_size, self.length):
            raise ActionError(
                f"Frozen tokens must have shape {[batch_size, self.length]}, got {list(frozen_tokens.shape)}."
            )
        low, high = int(frozen_tokens.min()), int(frozen_tokens.max())
        if low < FREE or high >= self.vocabulary:
            raise ActionError(
                f"Frozen tokens must be 0..{self.vocabulary - 1}, or {FREE} where free; got {low}..{high}."
            )
        return frozen_tokens.to(torch.int64)
