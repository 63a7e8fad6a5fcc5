"""What the policy of a token system needs of a network: one observation in, logits over the canvas out."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.state import Scores


class TokenNetwork(Protocol):
    """A network with all that belongs to reading an observation; on one device, for inference.

    Ids of the canvas count from 0 in each segment, and MASK is `canvas.mask_token`: the network translates them to the
    ids of its own vocabulary. What `prepare` and `prefill` give is the network's own business.
    """

    @property
    def canvas(self) -> Canvas:
        """What a decoder fills; the segment `action` is the last one."""
        ...

    def prepare(self, observation: Observation) -> Any:
        """Pixels, words and state as tensors on the device.

        Raises:
            ObservationError: A camera is missing, or an image, the state or the instruction is unusable.
        """
        ...

    def prefill(self, inputs: Any, frozen: np.ndarray) -> Any:
        """All that does not depend on the canvas, once per observation.

        Args:
            inputs: Of `prepare`.
            frozen: float32 `[d, D]` in physical units, leading rows that will be executed whatever is inferred.
        """
        ...

    def logits(self, context: Any, tokens: Tensor) -> Tensor | Scores:
        """Logits `[B, L, V]` for canvases int64 `[B, L]`; ids that a segment has not may hold anything."""
        ...

    def token_table(self) -> Tensor:
        """Embeddings `[V, width]` of the tokens of the segment `action`, padded to the canvas' largest vocabulary."""
        ...

    def imagined(self, context: Any, tokens: np.ndarray) -> Mapping[str, np.ndarray]:
        """uint8 `[h, w, 3]` RGB of each camera that a decoded canvas int64 `[L]` shows; empty where it shows none."""
        ...

    def keypoints(self, context: Any) -> Mapping[str, np.ndarray]:
        """See `policies.base.Prediction.keypoints`; empty where the network has none."""
        ...


class Probed(Protocol):
    """A network whose attention can be looked at from outside, for the tests at start-up."""

    @property
    def prompt_sees_canvas(self) -> bool:
        """Whether the position of `prompt_hidden` is to see the canvas, by the attention that was configured."""
        ...

    def prompt_hidden(self, context: Any, tokens: Tensor) -> Tensor:
        """Last hidden state `[B, W]` of a position of the prompt, when everything is run with canvases `[B, L]`.

        A position that tells the attention variants apart: of the instruction, or where words see nothing of the
        images.
        """
        ...
