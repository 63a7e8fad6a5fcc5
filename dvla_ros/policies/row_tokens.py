"""Rows of a chunk as tokens on the canvas: what is frozen, what is guessed, what is needed, what came out decided."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.chunk_codec import ChunkCodec
from dvla_ros.denoising.canvas import FREE, Canvas, WarmStart
from dvla_ros.errors import ActionError
from dvla_ros.policies.coding import is_time_local
from dvla_ros.policies.request import ChunkRequest
from dvla_ros.policies.token_system import ACTION


@dataclass(frozen=True)
class RowTokens:
    """Where the rows of a chunk are on the canvas.

    With bins each number has a position of its own. A FAST token is a frequency of the whole chunk: no row can be
    frozen, every row needs every token, and a guess of some rows becomes a guess of all by repeating the last.

    Attributes:
        codec: Chunk to tokens.
        canvas: With the segment `action`, whose last positions hold the chunk's tokens.
    """

    codec: ChunkCodec
    canvas: Canvas

    @property
    def positions(self) -> slice:
        """Positions of the chunk's tokens."""
        stop = self.canvas.span(ACTION).stop
        return slice(stop - self.codec.length, stop)

    def leading(self, steps: int) -> slice:
        """Positions that the first rows depend on."""
        begin = self.positions.start
        if is_time_local(self.codec):
            return slice(begin, begin + steps * self.codec.dim)
        return self.positions if steps else slice(begin, begin)

    def frozen(self, rows: np.ndarray) -> Tensor | None:
        """Frozen tokens int64 `[1, L]` for the first rows, physical `[d, D]`; None where none can be frozen."""
        if not is_time_local(self.codec) or len(rows) == 0:
            return None
        tokens = self.codec.encode(np.concatenate([rows, np.repeat(rows[-1:], self.codec.horizon - len(rows), axis=0)]))
        frozen = torch.full((1, self.canvas.length), FREE, dtype=torch.int64)
        where = self.leading(len(rows))
        frozen[0, where] = torch.from_numpy(tokens[: where.stop - where.start])
        return frozen

    def guess(self, request: ChunkRequest) -> WarmStart | None:
        """A warm start from what is guessed behind the frozen rows; None where nothing is.

        What a tokenizer with merges has no token or no room for is no guess: it would not be an answer either.
        """
        chunk = request.guessed_chunk()
        if chunk is None:
            return None
        try:
            tokens = self.codec.encode(chunk)
        except ActionError:
            return None
        confidence = request.guess_confidence()
        sure = confidence.flatten()
        if is_time_local(self.codec):
            tokens = np.where(np.repeat(request.known, self.codec.dim), tokens, FREE)
        else:
            sure = np.full(self.codec.length, confidence.mean())
        return WarmStart(self._on_canvas(tokens, FREE), self._on_canvas(sure.astype(np.float32), 0.0))

    def needed(self, steps: int | None) -> Tensor | None:
        """What must be decided for the first rows, bool `[L]`; None for the whole canvas."""
        if steps is None:
            return None
        needed = torch.zeros(self.canvas.length, dtype=torch.bool)
        needed[self.leading(steps)] = True
        return needed

    def decided_steps(self, filled: np.ndarray, frozen_steps: int) -> int:
        """Leading rows none of whose tokens is among the filled ones, bool `[L]`; at least the frozen ones."""
        part = filled[self.positions]
        if not part.any():
            return self.codec.horizon
        first = int(part.argmax()) // self.codec.dim if is_time_local(self.codec) else 0
        return max(first, frozen_steps)

    def _on_canvas(self, values: np.ndarray, elsewhere: float) -> Tensor:
        own = torch.from_numpy(values).unsqueeze(0)
        canvas = torch.full((1, self.canvas.length), elsewhere, dtype=own.dtype)
        canvas[:, self.positions] = own
        return canvas
