"""How a small trunk reads and writes one segment of the canvas: token embeddings, positions, a head of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dvla_ros.denoising.canvas import Segment
from dvla_ros.models.vision import waves


@dataclass(frozen=True)
class SegmentSizes:
    """One segment of the canvas, as the network sees it; see `denoising.canvas.Segment`.

    Attributes:
        name: What it holds, e.g. `action`.
        rows: Positions are row-major over rows x columns.
        columns: See `rows`.
        vocabulary: Token ids V, without the mask token.
        ordered: Whether neighbouring ids mean neighbouring values, as those of bins do.
        prefilled: One id per position that is the same in every canvas, -1 elsewhere; empty for none.
        reserved: The last this many ids stand only where they are prefilled.
        trained: Whether the token embeddings are trained. Those of a metric path (DFM-VLA) are not: its distances must
            be the same from the first step of training to the last of decoding.
    """

    name: str
    rows: int
    columns: int
    vocabulary: int
    ordered: bool = True
    prefilled: tuple[int, ...] = ()
    reserved: int = 0
    trained: bool = True

    def __post_init__(self) -> None:
        _ = self.segment  # whose own checks apply here as well

    @property
    def length(self) -> int:
        """Number of positions."""
        return self.rows * self.columns

    @property
    def segment(self) -> Segment:
        """The same for a decoder."""
        return Segment(self.name, self.rows, self.columns, self.vocabulary, self.prefilled, self.reserved)


class SegmentIO(nn.Module):
    """Tokens of one segment to trunk inputs, trunk outputs to logits over the segment's own vocabulary."""

    def __init__(self, sizes: SegmentSizes, width: int) -> None:
        super().__init__()
        self.sizes = sizes
        self.token = nn.Embedding(sizes.vocabulary + 1, width)
        self.row = nn.Parameter(torch.randn(sizes.rows, 1, width) * 0.1)
        self.column = nn.Parameter(torch.randn(1, sizes.columns, width) * 0.3)
        self.head = nn.Linear(width, sizes.vocabulary)
        if sizes.ordered:
            self._smooth_tokens()
        else:
            self._tie_tokens()
        self.token.weight.requires_grad_(sizes.trained)

    @torch.no_grad()
    def _smooth_tokens(self) -> None:
        """Embeddings in which neighbouring ids resemble each other, always the same; the mask token keeps its own."""
        width = self.token.embedding_dim
        generator = torch.Generator().manual_seed(0)
        centres = torch.linspace(-1.0, 1.0, self.sizes.vocabulary).unsqueeze(1)
        basis = torch.cat([centres, waves(centres)], dim=1)
        mixing = torch.randn(basis.shape[1], width, generator=generator) * 0.3 / basis.shape[1] ** 0.5
        self.token.weight[:-1] = basis @ mixing
        self.token.weight[-1] = torch.randn(width, generator=generator) * 0.1

    @torch.no_grad()
    def _tie_tokens(self) -> None:
        """Start with a head that answers with the token whose embedding it is given."""
        nn.init.normal_(self.token.weight, std=0.3)
        self.head.weight.copy_(nn.functional.normalize(self.token.weight[:-1], dim=-1))

    def embed(self, tokens: Tensor) -> Tensor:
        """int64 `[B, length]` to `[B, length, width]`; every id beyond the vocabulary is the mask token."""
        place = (self.row + self.column).flatten(0, 1)
        embedded: Tensor = self.token(tokens.clamp(max=self.sizes.vocabulary)) + place
        return embedded

    def logits(self, hidden: Tensor, vocabulary: int) -> Tensor:
        """`[B, length, width]` to `[B, length, vocabulary]`, -inf beyond the segment's own ids."""
        own: Tensor = self.head(hidden)
        missing = vocabulary - self.sizes.vocabulary
        return own if missing == 0 else nn.functional.pad(own, (0, missing), value=-torch.inf)
