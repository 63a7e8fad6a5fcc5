"""The canvas: the token positions that are being generated, and which of them are fixed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dvla_ros.denoising.schedules import steps_for
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
        reserved: The last this many ids stand only where they are prefilled or frozen; no decoder chooses them.

    Raises:
        ConfigurationError: A size is too small, or `prefilled` has the wrong length or an unknown id.
    """

    name: str
    steps: int
    dims: int
    vocabulary: int
    prefilled: tuple[int, ...] = ()
    reserved: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.dims, self.vocabulary - 1) < 1:
            raise ConfigurationError(
                f"Segment '{self.name}' needs steps and dims of at least 1 and a vocabulary of at least 2, got "
                f"steps={self.steps}, dims={self.dims}, "
                f"vocabulary={self.vocabulary}."
            )
        if not 0 <= self.reserved < self.vocabulary:
            raise ConfigurationError(
                f"Segment '{self.name}' reserves {self.reserved} of {self.vocabulary} ids; leave one to choose."
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

    @property
    def choices(self) -> int:
        """Number of ids that a decoder may choose from: 0..choices-1."""
        return self.vocabulary - self.reserved


@dataclass(frozen=True)
class WarmStart:
    """A guess to start from, such as the rows of the previous chunk that are still to come; decoders may change it.

    Attributes:
        tokens: int64 `[B, L]`, `FREE` where there is no guess.
        confidence: float32 `[B, L]`, how sure the guess is, 0..1.
    """

    tokens: Tensor
    confidence: Tensor


@dataclass(frozen=True)
class Canvas:
    """Segments side by side, L positions in all; MASK is one id for all of them, after the largest vocabulary.

    Each segment counts its ids from 0. The logits of ids that a segment has not, or reserves, are -inf.

    Attributes:
        segments: In the order of their positions.
        determined: How many numbers are given by other means than tokens, such as rows that frequencies are led
            through: that many fewer are to be found, though no position is fixed.

    Raises:
        ConfigurationError: No segment, or a name twice, or more is determined than there are free positions.
    """

    segments: tuple[Segment, ...]
    determined: int = 0

    def __post_init__(self) -> None:
        names = [segment.name for segment in self.segments]
        if not names or len(set(names)) != len(names):
            raise ConfigurationError(f"A canvas needs segments with different names, got {names}.")
        if not 0 <= self.determined <= self.free_length:
            raise ConfigurationError(f"determined must be in 0..{self.free_length}, got {self.determined}.")

    @property
    def length(self) -> int:
        """Number of positions L."""
        return sum(segment.length for segment in self.segments)

    @property
    def vocabulary(self) -> int:
        """Number of token ids V of the largest segment, without MASK."""
        return max(segment.vocabulary for segment in self.segments)

    @property
    def one_vocabulary(self) -> bool:
        """Whether every id may be chosen at every position."""
        return all(segment.choices == self.vocabulary for segment in self.segments)

    def allowed(self, device: torch.device | str = "cpu") -> Tensor:
        """Ids that may be chosen at each position, bool `[L, V]`."""
        return torch.arange(self.vocabulary, device=device) < self.vocabularies(device).unsqueeze(1)

    def closed_ids(self) -> tuple[tuple[slice, slice], ...]:
        """The positions and the ids there of what may not be chosen, for each segment that has some."""
        spans = [(self.span(segment.name), segment.choices) for segment in self.segments]
        return tuple((span, slice(choices, None)) for span, choices in spans if choices < self.vocabulary)

    def vocabularies(self, device: torch.device | str = "cpu") -> Tensor:
        """Number of ids that may be chosen at each position, int64 `[L]`."""
        return torch.tensor([s.choices for s in self.segments for _ in range(s.length)], device=device)

    @property
    def mask_token(self) -> int:
        """The id that means "still masked": V. A network embeds V + 1 ids and scores V."""
        return self.vocabulary

    @property
    def free_length(self) -> int:
        """Number of positions that are not prefilled."""
        return self.length - sum(token != FREE for segment in self.segments for token in segment.prefilled)

    def steps(self, total: int, unknown: int) -> int:
        """How many of `total` denoising steps fill so many masked positions, see `schedules.steps_for`."""
        return steps_for(total, max(0, unknown - self.determined), self.free_length)

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
            self.check_ids(frozen_tokens, batch_size, "Frozen tokens")
            frozen_tokens = frozen_tokens.to(device, torch.int64)
            if bool(((known != FREE) & (frozen_tokens != FREE) & (known != frozen_tokens)).any()):
                raise ActionError("Frozen tokens differ from the prefilled ones of the canvas; leave those free.")
            known = torch.where(known == FREE, frozen_tokens, known)
        fixed = known != FREE
        return torch.where(fixed, known, self.mask_token), fixed

    def check_ids(self, tokens: Tensor, batch_size: int, what: str) -> None:
        """Check tokens that a caller brings: a canvas of its own for every row, of known ids.

        Args:
            tokens: int64 `[B, L]`, `FREE` where nothing is said.
            batch_size: B.
            what: Their name in the message, e.g. `Frozen tokens`.

        Raises:
            ActionError: Another shape, or an id outside the vocabulary of its segment.
        """
        if tokens.shape != (batch_size, self.length):
            raise ActionError(f"{what} must have shape {[batch_size, self.length]}, got {list(tokens.shape)}.")
        for segment in self.segments:
            part = tokens[:, self.span(segment.name)]
            low, high = int(part.min()), int(part.max())
            if low < FREE or high >= segment.vocabulary:
                raise ActionError(
                    f"{what} of '{segment.name}' must be 0..{segment.vocabulary - 1}, or {FREE} where free; "
                    f"got {low}..{high}."
                )

    def _prefilled(self, device: torch.device) -> Tensor:
        ids = [token for s in self.segments for token in (s.prefilled or (FREE,) * s.length)]
        return torch.tensor([ids], dtype=torch.int64, device=device)
