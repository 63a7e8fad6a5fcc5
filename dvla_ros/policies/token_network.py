"""What the policy of a token system needs of a network: one observation in, logits over the canvas out."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas
from dvla_ros.denoising.state import Scores
from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.graphs import StepGraphs


class TokenNetwork(Protocol):
    """A network with all that belongs to reading an observation; on one device, for inference.

    Ids of the canvas count from 0 in each segment, and MASK is `canvas.mask_token`: the network translates them to the
    ids of its own vocabulary. What `prepare` and `prefill` give is the network's own business; with a cache that is not
    exact, what `prefill` gave is for one run of the decoder.

    Attributes:
        cache: What a denoising step keeps of the one before, from the next `prefill` on.
        graphs: Where denoising steps are captured, from the next `prefill` on; None to run them as they are.
    """

    cache: CachePlan
    graphs: StepGraphs | None

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

    def keypoints(self, context: Any, row: int = 0) -> Mapping[str, np.ndarray]:
        """See `policies.base.Prediction.keypoints`; empty where the network has none. `row` is the observation's."""
        ...


@runtime_checkable
class BatchNetwork(TokenNetwork, Protocol):
    """A network that runs several observations at once; none of them is told of the others."""

    def alike(self, inputs: Any) -> Hashable:
        """What inputs must have in common to be run together, such as the number of their words."""
        ...

    def prefill_batch(self, inputs: Sequence[Any], frozen: Sequence[np.ndarray]) -> Any:
        """As `prefill`, of several observations that are alike: the canvases `[B, L]` of `logits` are in their order.

        Args:
            inputs: Of `prepare`, one for each observation.
            frozen: One for each observation; they may have different numbers of rows.
        """
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
