"""A stand-in for CUDA graphs on a CPU: work is recorded kernel by kernel and repeated with the same tensors.

As with a graph, nothing of the Python code runs again: what the work read from another place than the recorded tensors
stays as it was then.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class TapeCapture:
    """A `Capture`.

    Args:
        fails: Refuse to record, as a driver may.

    Attributes:
        warmed, recorded, replayed: How often.
    """

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.warmed = self.recorded = self.replayed = 0

    def warm_up(self, work):
        self.warmed += 1
        return work()

    def wait(self):
        pass

    def record(self, work):
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing\nmore lines")
        self.recorded += 1
        with _Tape() as tape:
            answer = work()
        pending = [answer]  # recording has run the work once, which a graph would not: the first replay is that run

        def replay():
            self.replayed += 1
            if pending:
                return pending.pop()
            tape.play()
            return answer

        return replay


class _Tape(TorchDispatchMode):
    """Every kernel that ran, with its tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = []

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.kernels.append((func, args, kwargs or {}, out))
        return out

    def play(self):
        for func, args, kwargs, out in self.kernels:
            if func._schema.is_mutable:
                func(*args, **kwargs)
            elif not _is_view(args, kwargs, out):
                for held, new in zip(tree_leaves(out), tree_leaves(func(*args, **kwargs)), strict=True):
                    if isinstance(held, torch.Tensor):
                        held.copy_(new)


def _is_view(args, kwargs, out):
    """Whether what was given back is memory that was given in."""
    places = {_place(t) for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)}
    return any(_place(t) in places for t in tree_leaves(out) if isinstance(t, torch.Tensor) and t.numel())


def _place(tensor):
    return tensor.untyped_storage().data_ptr()
