"""A codebook of unit vectors that learns without gradients.

Codes are compared by cosine (Yu et al., ViT-VQGAN, 2022) and are running means of what is assigned to them
(van den Oord et al., VQ-VAE, 2017, appendix A.1).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Codebook(nn.Module):
    """K unit vectors; each is the direction of the running mean of the vectors nearest to it."""

    vectors: Tensor
    usage: Tensor
    sums: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("vectors", functional.normalize(torch.randn(size, dim), dim=-1))
        # Only training needs the running sums. They start at zero: codes that the first batch leaves unused are dead.
        self.register_buffer("usage", torch.zeros(size), persistent=False)
        self.register_buffer("sums", torch.zeros(size, dim), persistent=False)

    def nearest(self, vectors: Tensor) -> Tensor:
        """Codes int64 `[N]` of the greatest cosine with unit vectors `[N, d]`."""
        # Neighbouring codes differ by less than bfloat16 resolves, so mixed precision must not reach this product.
        with torch.autocast(vectors.device.type, enabled=False):
            return (vectors @ self.vectors.T).argmax(dim=-1)

    @torch.no_grad()
    def learn(self, vectors: Tensor, codes: Tensor, decay: float, dead_below: float, generator: torch.Generator) -> int:
        """Move the codes towards what was assigned to them and revive dead ones.

        Args:
            vectors: Unit vectors `[N, d]`.
            codes: `[N]`, what `nearest` said of them.
            decay: Of the running sums, 0..1.
            dead_below: Running mean of uses per batch below which a code is dead.
            generator: Chooses the vectors that dead codes become.

        Returns:
            Number of revived codes.
        """
        counts = torch.bincount(codes, minlength=len(self.usage)).to(self.usage)
        errors = 1.0 - (vectors * self.vectors[codes]).sum(dim=-1)
        self.usage.lerp_(counts, 1.0 - decay)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, codes, vectors), 1.0 - decay)
        revived = self._revive(self.usage < dead_below, vectors, errors, generator)
        self.vectors.copy_(functional.normalize(self.sums, dim=-1))
        return revived

    def _revive(self, dead: Tensor, vectors: Tensor, errors: Tensor, generator: torch.Generator) -> int:
        """Dead codes become vectors of the batch, badly described ones first: rare things get a code that way."""
        wanted = min(int(dead.sum()), len(vectors))
        if wanted:
            chosen = torch.multinomial(errors.clamp_min(1e-6), wanted, generator=generator)
            places = dead.nonzero().squeeze(-1)[:wanted]
            self.sums[places] = vectors[chosen]
            self.usage[places] = 1.0
        return wanted
