"""A network without a system: camera towers, a trunk and a head of chosen sizes, decoded by the real loop and engine.

What grows with what is seen best where every size can be chosen alone. The weights are random.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.registry import make_decoder
from dvla_ros.engine.graphs import StepGraphs
from dvla_ros.engine.sequence_run import SequenceRun, open_run
from dvla_ros.evaluation.decode.looked_at import LookedAt
from dvla_ros.evaluation.decode.published_way import WholeForward, WholeHead
from dvla_ros.evaluation.decode.random_weights import draw_weights
from dvla_ros.evaluation.decode.step_work import HeadShape, SequenceShape
from dvla_ros.models.head import SlicedHead, TokenRows
from dvla_ros.models.trunk import Trunk, TrunkConfig

BINS, PATCHES, COLUMNS = 256, 256, 7


@dataclass(frozen=True)
class StandInSizes:
    """Sizes of the network.

    Attributes:
        trunk: Its layers.
        tower: Layers that look at the patches of a camera.
        vocabulary: Rows of the head.
    """

    trunk: TrunkConfig
    tower: TrunkConfig
    vocabulary: int = 32_064

    @classmethod
    def for_device(cls, device: torch.device) -> "StandInSizes":
        """7 B with a so400m tower on a GPU; on a CPU a fiftieth of the width and a twelfth of the depth of both."""
        if device.type == "cuda":
            tower = TrunkConfig(1152, 27, 16, 16, 4304, norm="layer", mlp="gelu", rope_theta=None)
            return cls(TrunkConfig.llama2_7b(), tower)
        tower = TrunkConfig(128, 3, 4, 4, 384, norm="layer", mlp="gelu", rope_theta=None)
        return cls(TrunkConfig(width=384, layers=6, heads=6, kv_heads=6, intermediate=1024), tower)


@dataclass(frozen=True)
class Demand:
    """What is asked of it.

    Attributes:
        prefix: Positions before the canvas.
        rows: Actions of a chunk; each has seven tokens.
        steps: Denoising steps.
        cameras: Towers to run.
        batch: Chunks for one observation.
    """

    prefix: int = 512
    rows: int = 8
    steps: int = 8
    cameras: int = 2
    batch: int = 1

    @property
    def canvas(self) -> Canvas:
        """What is decoded."""
        return Canvas((Segment("action", self.rows, COLUMNS, BINS),))


class StandIn:
    """The network, ready to decode.

    Args:
        sizes: Of it.
        device: Where.
        dtype: Of its weights.
    """

    def __init__(self, sizes: StandInSizes, device: torch.device, dtype: torch.dtype) -> None:
        self.sizes, self.device, self._dtype = sizes, device, dtype
        width = sizes.trunk.width
        with torch.device(device):
            self.trunk = Trunk(sizes.trunk).to(dtype).eval().requires_grad_(False)
            self.tower = Trunk(sizes.tower).to(dtype).eval().requires_grad_(False)
            self._embedding = nn.Embedding(BINS + 1, width, dtype=dtype).requires_grad_(False)
            head = nn.Parameter(torch.empty(sizes.vocabulary, width, dtype=dtype), requires_grad=False)
        self._head = SlicedHead(head)
        for module in (self.trunk, self.tower, self._embedding, self._head):
            draw_weights(module)
        self.trunk.pack()
        self._graphs = StepGraphs.on(device, None)
        self._rows = TokenRows.of(range(BINS))

    @torch.no_grad()
    def chunk(self, demand: Demand, *, published: bool) -> Tensor:
        """Decode once: look, run the prefix, denoise; int64 `[B, L]`."""
        self._look(demand.cameras)
        embedded = torch.randn(1, demand.prefix, self.sizes.trunk.width, device=self.device).to(self._dtype)
        canvas = demand.canvas
        run, head = self._run(embedded, canvas.length, published), self._head
        whole = WholeHead(head) if published else head

        def logits(tokens: Tensor) -> Tensor:
            answer: Tensor = whole(run.hidden(self._embedding(tokens)), self._rows)
            return answer

        decoder = make_decoder({"decoder": "masked", "num_steps": demand.steps})
        return denoise(logits, canvas, decoder, seeds=list(range(demand.batch)), device=self.device).tokens

    @torch.no_grad()
    def step(self, demand: Demand, *, published: bool) -> "StandInStep":
        """One denoising step, ready to be repeated."""
        embedded = torch.randn(1, demand.prefix, self.sizes.trunk.width, device=self.device).to(self._dtype)
        length = demand.canvas.length
        run = self._run(embedded, length, published)
        tokens = torch.full((demand.batch, length), BINS, device=self.device)
        return StandInStep(run, self._embedding, tokens)

    def shape(self, demand: Demand) -> SequenceShape:
        """What stands where, for counting."""
        length = demand.canvas.length
        heads, size = (HeadShape(length, BINS),), self._dtype.itemsize
        return SequenceShape(self.sizes.trunk, demand.prefix, demand.prefix, length, heads, self.sizes.vocabulary, size)

    def _look(self, cameras: int) -> None:
        if cameras:
            patches = torch.randn(cameras, PATCHES, self.sizes.tower.width, device=self.device)
            self.tower(patches.to(self._dtype))

    def _run(self, embedded: Tensor, length: int, published: bool) -> SequenceRun:
        if published:
            return WholeForward(self.trunk, LookedAt(embedded, 0, length))
        return open_run(self.trunk, self.trunk.prefill(embedded), embedded[:, :0], graphs=self._graphs)


@dataclass(frozen=True)
class StandInStep:
    """The trunk's part of a denoising step."""

    run: SequenceRun
    embedding: nn.Embedding
    tokens: Tensor

    @torch.no_grad()
    def __call__(self) -> Tensor:
        """Hidden states `[B, L, W]`."""
        return self.run.hidden(self.embedding(self.tokens))
