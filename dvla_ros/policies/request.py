"""What a caller says beside the observation, checked."""

from dataclasses import dataclass

import numpy as np

from dvla_ros.errors import ActionError
from dvla_ros.policies.base import Guess, PolicySpec


@dataclass(frozen=True)
class ChunkRequest:
    """The arguments of `policies.base.Policy.predict` beside the observation.

    Attributes:
        frozen: float32 `[d, D]`, the frozen rows; `[0, D]` for none.
        seed: Of the answer; None for a fresh one.
        deadline_s: Seconds after which no further step is started; None for no limit.
        guess: Of rows that are not frozen; None for none.
        needed_steps: Leading rows that will be executed; None for all.
    """

    frozen: np.ndarray
    seed: int | None
    deadline_s: float | None
    guess: Guess | None
    needed_steps: int | None

    @classmethod
    def checked(
        cls,
        spec: PolicySpec,
        frozen_actions: np.ndarray | None,
        seed: int | None,
        deadline_s: float | None,
        guess: Guess | None,
        needed_steps: int | None,
    ) -> "ChunkRequest":
        """The request, if it fits a policy of that kind.

        Raises:
            ActionError: It does not; the message says what.
        """
        shape = (spec.horizon, len(spec.action_names))
        if guess is not None and guess.actions.shape != shape:
            raise ActionError(f"A guess must have the shape {list(shape)}, got {list(guess.actions.shape)}.")
        if needed_steps is not None and not 0 <= needed_steps <= spec.horizon:
            raise ActionError(f"needed_steps must be in 0..{spec.horizon}, got {needed_steps}.")
        return cls(_frozen_rows(frozen_actions, shape), seed, deadline_s, guess, needed_steps)

    @property
    def known(self) -> np.ndarray:
        """Rows that are frozen or guessed, bool `[H]`; only where there is a guess."""
        assert self.guess is not None
        known = self.guess.guessed
        known[: len(self.frozen)] = True
        return known

    def guessed_chunk(self) -> np.ndarray | None:
        """Frozen and guessed rows `[H, D]`, the last one before a gap repeated in it; None without a guess behind them.

        A coefficient of the whole chunk, or a chunk in noise, needs a number in every row.
        """
        if self.guess is None or not self.guess.guessed[len(self.frozen) :].any():
            return None
        rows = self.guess.actions.copy()
        rows[: len(self.frozen)] = self.frozen
        return _completed(rows, self.known)

    def guess_confidence(self) -> np.ndarray:
        """How sure the rows of `guessed_chunk` are, float32 `[H, D]`: 1 where frozen, 0 where neither."""
        assert self.guess is not None
        confidence = np.where(self.known[:, None], self.guess.confidence, 0.0).astype(np.float32)
        confidence[: len(self.frozen)] = 1.0
        return confidence


def _frozen_rows(actions: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
    horizon, columns = shape
    if actions is None:
        return np.zeros((0, columns), dtype=np.float32)
    if len(actions) > horizon:
        raise ActionError(f"At most {horizon} actions can be frozen, got {len(actions)}.")
    if actions.ndim != 2 or actions.shape[1] != columns:
        raise ActionError(f"Frozen actions must have the shape [d, {columns}], got {list(actions.shape)}.")
    if not np.isfinite(actions).all():
        raise ActionError("Frozen actions hold NaN or infinity; freeze only what can be executed.")
    return actions.astype(np.float32)


def _completed(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """`[H, D]` with every unknown row like the known one before it, or where there is none like the first known.

    Args:
        rows: `[H, D]`, anything where unknown.
        known: bool `[H]`, at least one.
    """
    before = np.maximum.accumulate(np.where(known, np.arange(len(rows)), -1))
    source = np.where(before < 0, int(known.argmax()), before)
    filled: np.ndarray = rows[source]
    return filled
