"""Target distributions over neighbouring tokens, for vocabularies whose order means something."""

import torch
from torch import Tensor


def smooth_targets(vocabulary: int, deviation: float) -> Tensor:
    """Target distribution of each token `[V, V]`: a discrete Gaussian of this many ids around it; 0 is one-hot."""
    if deviation == 0:
        return torch.eye(vocabulary)
    bins = torch.arange(vocabulary, dtype=torch.float32)
    return torch.softmax(-0.5 * ((bins.unsqueeze(0) - bins.unsqueeze(1)) / deviation).square(), dim=-1)
