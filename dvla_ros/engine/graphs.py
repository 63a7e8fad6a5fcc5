"""Denoising steps as CUDA graphs: one per shape, captured once, replayed for every observation of that shape.

A step of a 7 B network is hundreds of kernels, and queueing each from Python may take longer than the GPU needs for it.
A graph queues all of them at once. It replays addresses: the observation and the canvas are copied into the memory that
it was captured with (`step_memory.py`).
"""

import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from dvla_ros.engine.step_memory import StepMemory

_LOG = logging.getLogger(__name__)

Work = Callable[[], Tensor]
"""Reads and writes tensors that stay where they are; gives one."""


class Capture(Protocol):
    """A way to make work repeatable."""

    def warm_up(self, work: Work) -> Tensor:
        """Run it once as it is."""
        ...

    def wait(self) -> None:
        """Return when nothing recorded is running any more."""
        ...

    def record(self, work: Work) -> Work:
        """What repeats the work without its Python code; it need not run now, and gives the same tensor every time.

        Raises:
            RuntimeError: The work cannot be recorded.
        """
        ...


class CudaCapture:
    """Work of one CUDA device as graphs, which share their scratch memory: they run one after the other.

    Args:
        device: Where the work's tensors are.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Work) -> Tensor:
        """On the stream of the capture, so that libraries have their workspace there."""
        current = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            answer = work()
        current.wait_stream(self._stream)
        answer.record_stream(current)
        return answer

    def wait(self) -> None:
        """See `Capture`."""
        torch.cuda.synchronize(self._stream.device)

    def record(self, work: Work) -> Work:
        """See `Capture`; other threads may use the device meanwhile."""
        graph = torch.cuda.CUDAGraph()
        # The mode: an allocation in a thread that copies camera images must not spoil the capture.
        mode = "thread_local"
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode=mode):
            answer = work()

        def replay() -> Tensor:
            graph.replay()
            return answer

        return replay


class GraphedRun(Protocol):
    """An observation whose denoising steps can be captured."""

    def shape(self, canvas: Tensor) -> Hashable:
        """Equal for runs that may share memory and graphs with canvases like this one."""
        ...

    def set_aside(self, canvas: Tensor) -> StepMemory:
        """Memory for this observation and others of its shape; it holds this one."""
        ...

    def load_into(self, memory: StepMemory) -> None:
        """Copy this observation into memory that another has used."""
        ...


@dataclass
class _Graph:
    """One kind of step over one memory: its inputs, and what repeats it once it was captured."""

    canvas: Tensor
    mask: Tensor | None
    replay: Work | None = None


@dataclass
class _Slot:
    """Memory of one shape, the graphs over it by kind of step and mask, and whose observation it holds."""

    memory: StepMemory
    owner: "weakref.ref[GraphedRun]"
    graphs: dict[Hashable, _Graph] = field(default_factory=dict)


class StepGraphs:
    """The captured steps of one network; belongs to it and outlives its observations. Not thread-safe.

    The first step of a shape and kind runs as it is, the second is captured. Where that fails it is logged, and from
    then on all steps run as they are.

    Args:
        capture: How work is captured.
        capacity: Shapes that are kept, the most recently used ones. Each holds the keys and values of a sequence.

    Attributes:
        failure: Why nothing is captured any more; "" while it is.
    """

    def __init__(self, capture: Capture, capacity: int = 4) -> None:
        self._capture, self._capacity = capture, capacity
        self._slots: OrderedDict[Hashable, _Slot] = OrderedDict()
        self.failure = ""

    @classmethod
    def on(cls, device: torch.device, wanted: bool | None = None) -> "StepGraphs | None":
        """For a network on this device; None where steps are to run as they are.

        Args:
            device: Where it runs; only a CUDA GPU has graphs.
            wanted: Whether to capture; None: wherever it is possible.
        """
        if device.type == "cuda":
            return None if wanted is False else cls(CudaCapture(device))
        if wanted:
            _LOG.warning("Denoising steps run without CUDA graphs: the device is %s.", device)
        return None

    def step(self, run: GraphedRun, kind: Hashable, canvas: Tensor, mask: Tensor | None) -> Tensor:
        """A denoising step of a run; see `SequenceRun.hidden`."""
        slot = self._slot(run, canvas)
        key = (kind, None if mask is None else (mask.shape, mask.dtype))
        graph = slot.graphs.get(key)
        if graph is None:
            graph = slot.graphs[key] = _Graph(canvas.clone(), None if mask is None else mask.clone())
            return self._capture.warm_up(lambda: slot.memory.step(kind, graph.canvas, graph.mask))
        graph.canvas.copy_(canvas)
        if graph.mask is not None and mask is not None:
            graph.mask.copy_(mask)
        if graph.replay is None:
            graph.replay = self._recorded(lambda: slot.memory.step(kind, graph.canvas, graph.mask))
        return graph.replay().clone()  # the next replay writes to the same place

    def holds(self, run: GraphedRun, canvas: Tensor) -> bool:
        """Whether a run's memory for such canvases is still its own: no other run has taken it since its last step."""
        slot = self._slots.get(_key(run, canvas))
        return slot is not None and slot.owner() is run

    def _slot(self, run: GraphedRun, canvas: Tensor) -> _Slot:
        key = _key(run, canvas)
        slot = self._slots.get(key)
        if slot is None:
            self._make_room()
            slot = self._slots[key] = _Slot(run.set_aside(canvas), weakref.ref(run))
        elif slot.owner() is not run:
            run.load_into(slot.memory)
            slot.owner = weakref.ref(run)
        self._slots.move_to_end(key)
        return slot

    def _make_room(self) -> None:
        if len(self._slots) < self._capacity:
            return
        self._capture.wait()  # a graph must not be destroyed while it runs
        self._slots.popitem(last=False)

    def _recorded(self, work: Work) -> Work:
        if self.failure:
            return work
        try:
            return self._capture.record(work)
        except RuntimeError as error:
            self.failure = str(error).partition("\n")[0] or type(error).__name__
            _LOG.warning("Denoising steps run without CUDA graphs, which is slower: %s", self.failure)
            return work


def _key(run: GraphedRun, canvas: Tensor) -> Hashable:
    return type(run), run.shape(canvas), canvas.shape, canvas.dtype
