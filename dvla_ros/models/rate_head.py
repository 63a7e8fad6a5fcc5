"""How fast each canvas token wants to be replaced, and by what: the rate head of DFM-VLA (section 4.2)."""

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from dvla_ros.errors import ConfigurationError

RateForm = Literal["factored", "per_token"]


class RateHead(nn.Module):
    """Hidden states to non-negative replacement rates u(x | x_t) per unit of the flow's time.

    What makes the rates non-negative is not published; both ways are here. `factored` is the form of EditFlow: one
    rate λ = softplus(w·h) for the position, times a distribution softmax(W h) over what replaces the token, so that
    a fresh head jumps at a rate of about 0.7 whatever the vocabulary. `per_token` is softplus(W h): every token has a
    rate of its own, and their sum grows with the vocabulary.

    The rate towards the token that a position already holds is given too, and means nothing: leave it out.

    Args:
        width: Of the hidden states.
        vocabulary: V.
        form: `factored` or `per_token`.

    Raises:
        ConfigurationError: There is no such form.
    """

    def __init__(self, width: int, vocabulary: int, form: RateForm = "factored") -> None:
        super().__init__()
        if form not in get_args(RateForm):
            raise ConfigurationError(f"The form of a rate head must be one of {get_args(RateForm)}, got {form!r}.")
        self.form = form
        self.token = nn.Linear(width, vocabulary)
        self.position = nn.Linear(width, 1) if form == "factored" else None

    def forward(self, hidden: Tensor) -> Tensor:
        """Rates float32 `[B, L, V]` from hidden states `[B, L, width]`."""
        scores = self.token(hidden).float()
        if self.position is None:
            return functional.softplus(scores)
        return functional.softplus(self.position(hidden).float()) * scores.softmax(dim=-1)
