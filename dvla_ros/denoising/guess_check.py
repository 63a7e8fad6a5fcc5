"""What the network makes of a guess before any of it is put on the canvas."""

import torch
from torch import Tensor

from dvla_ros.denoising.canvas import FREE, WarmStart
from dvla_ros.denoising.sampling import probability_of


def checked_guess(guess: WarmStart, logits: Tensor, least_share: float) -> WarmStart:
    """A guess without what the network finds improbable, and no surer than the network is.

    A decoder that never looks back would keep a wrong guess for good, and a network may agree with whatever it is
    shown. So the guess is judged by an answer to a canvas on which it does not stand.

    Args:
        guess: Of `[B, L]` positions.
        logits: float `[B, L, V]`, the answer to the canvas with MASK at all guessed positions.
        least_share: A guessed token is dropped where its probability is below this share of the likeliest token's.
    """
    log_p = torch.log_softmax(logits.float(), dim=-1)
    guessed = guess.tokens != FREE
    probability = probability_of(guess.tokens.clamp_min(0), log_p)
    kept = guessed & (probability >= least_share * log_p.amax(dim=-1).exp())
    confidence = torch.minimum(guess.confidence, probability)
    return WarmStart(torch.where(kept, guess.tokens, FREE), confidence.masked_fill(~kept, 0.0))
