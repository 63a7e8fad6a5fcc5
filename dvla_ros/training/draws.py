"""Random numbers that depend on where they are used and on nothing that happened before.

A run that keeps a generator must save and restore its state to be resumed, and two processes draw other numbers than
one. Here every draw is keyed: by the run's seed, by the number of the example (or epoch), and by what it is for, so
that a new use changes no other. Philox is made for that: 4x64 counters under a 128-bit key (Salmon et al., 2011).
"""

from enum import IntEnum

import numpy as np


class Use(IntEnum):
    """What numbers are drawn for; the values must stay, or a resumed run goes on with other examples."""

    ORDER = 0
    SENTENCE = 1
    LIGHT = 2
    AUGMENTATION = 3


def draws(seed: int, number: int, use: Use) -> np.random.Generator:
    """A generator of its own for each seed, number and use.

    Args:
        seed: Of the run, 0 or more, below 2^64.
        number: Of the example or of the epoch, likewise.
        use: What for.
    """
    # The last word of the counter is never reached by counting: uses do not overlap.
    key = np.array([seed, number], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, use], np.uint64)))
