"""A training step rehearsed on the meta device: every tensor has its size, and none its numbers.

What is alive at the same time, and how many operations there are, is then known of the step itself, checkpointing,
adapters and mixed precision included, and not of a formula about it.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import _engine_run_backward
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map


class LiveBytes(TorchDispatchMode):
    """Bytes of the tensors that operations make, while they live; those that were there before do not count.

    Works on any device; what a kernel takes for itself is not seen.

    Attributes:
        now: Bytes that live.
        peak: The most that lived at a time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def before(self, *tensors: Tensor) -> None:
        """Leave these out."""
        for tensor in tensors:
            self._seen.add(tensor.untyped_storage())

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, Tensor):
                self._see(each.untyped_storage())
        return made

    def _see(self, storage: Any) -> None:
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.now -= size


class Fused(TorchFunctionMode):
    """Attention as the fused kernels do it, which keep no scores, and the casts of autocast; for the meta device.

    Autocast knows no meta device, and attention there is the plain one.

    Args:
        dtype: Of the multiplications; None for no autocast.
        keeping: Whether a cast weight is kept until the end, as autocast does while the network runs forward.

    Attributes:
        flop: Operations of attention, forward and backward; no counter of dispatched operations sees them.
    """

    _LOW = (
        functional.linear,
        functional.conv1d,
        functional.conv2d,
        functional.conv3d,
        torch.matmul,
        torch.bmm,
        Tensor.matmul,
        Tensor.__matmul__,
        functional.scaled_dot_product_attention,
    )

    def __init__(self, dtype: torch.dtype | None, keeping: bool) -> None:
        super().__init__()
        self._dtype, self._keeping = dtype, keeping
        self._kept: dict[int, Tensor] = {}
        self.flop = 0.0

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        if self._dtype is not None and func in self._LOW:
            args, kwargs = tree_map(self._cast, (args, kwargs))
        if any(isinstance(each, Tensor) and each.is_meta for each in args):
            args = tuple(map(_on_meta, args))
            if func is functional.scaled_dot_product_attention:
                return self._attention(*args[:3])
        return func(*args, **kwargs)

    def _attention(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        pairs = queries.numel() * keys.shape[-2]
        self.flop += 4.0 * pairs
        if queries.requires_grad or keys.requires_grad or values.requires_grad:
            self.flop += 8.0 * pairs
        attended: Tensor = _FusedAttention.apply(queries, keys, values)
        return attended

    def _cast(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        if not (self._keeping and value.is_leaf and value.requires_grad):
            return value.to(self._dtype)
        if id(value) not in self._kept:
            self._kept[id(value)] = value.to(self._dtype)
        return self._kept[id(value)]


def _on_meta(value: Any) -> Any:
    """Numbers that were computed from what is looked at, such as positions in an image's grid, beside those without."""
    return value.to("meta") if isinstance(value, Tensor) and value.is_floating_point() and not value.is_meta else value


class _FusedAttention(torch.autograd.Function):
    """Keeps queries, keys, values, the answer and one number for each query."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        attended = torch.empty_like(queries)
        ctx.save_for_backward(
            queries, keys, values, attended, queries.new_empty(queries.shape[:-1], dtype=torch.float32)
        )
        return attended

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        queries, keys, values, _, _ = ctx.saved_tensors
        return torch.empty_like(queries), torch.empty_like(keys), torch.empty_like(values)


@contextmanager
def gradients_there(parameters: "list[torch.nn.Parameter]") -> Iterator[None]:
    """With a gradient for each, as from the second micro-batch of a step on."""
    for parameter in parameters:
        parameter.grad = torch.empty_like(parameter)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.grad = None


def rehearse(forward: Callable[[], Tensor], dtype: torch.dtype | None = torch.bfloat16) -> float:
    """Run a loss on the meta device, forward and backward; operations of attention.

    Args:
        forward: Gives the loss.
        dtype: Of autocast; None for none.
    """
    with Fused(dtype, keeping=True) as ahead:
        loss = forward()
    done = ahead.flop
    ahead._kept.clear()
    with Fused(dtype, keeping=False):
        # `backward` leaves a function mode, and layers that are run again must run in it.
        _engine_run_backward((loss,), (torch.ones_like(loss),), False, False, (), accumulate_grad=True)
    return done
