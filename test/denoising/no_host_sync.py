"""A guard for decoder steps, which must not wait for the device."""

from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from dvla_ros.denoising import sampling
from dvla_ros.denoising.state import Scores


@contextmanager
def no_host_sync():
    """Fails on every operation that would wait for the device; what only host memory allows is not done."""
    with patch.object(sampling, "_ASK_NUMPY", False), _NoReadingCalls(), _NoWaitingKernels():
        yield


class _NoReadingCalls(TorchFunctionMode):
    """Fails on the methods that read a tensor's memory without a kernel."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        assert name not in ("tolist", "numpy", "cpu"), f"{name} waits for the device"
        return func(*args, **(kwargs or {}))


class _NoWaitingKernels(TorchDispatchMode):
    """Fails on kernels that read a value, copy from the host, or give a result whose shape depends on values."""

    WAITING = (
        *("_local_scalar_dense", "is_nonzero", "equal"),
        *("nonzero", "masked_select", "unique", "bincount", "repeat_interleave", "multinomial"),
        "lift_fresh",  # torch.tensor of Python numbers
    )

    @classmethod
    def _should_skip_dynamo(cls):
        """Nothing is compiled here; this saves PyTorch from importing its compiler, which takes seconds."""
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert not any(name.startswith(waiting) for waiting in self.WAITING), f"{name} waits for the device"
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        assert not any(i is not None and i.dtype == torch.bool for i in indices), f"{name} with a boolean index"
        return func(*args, **(kwargs or {}))


def decode_without_waiting(network, canvas, denoiser, noise, **start):
    """The state after all steps, none of which waited for the device."""
    arguments = {"frozen_tokens": None, "warm_start": None, "device": torch.device("cpu"), **start}
    state = denoiser.start(canvas, noise=noise, **arguments)
    for index in range(state.num_steps):
        answer = network(state.tokens)
        scores = answer if isinstance(answer, Scores) else Scores(answer)
        with no_host_sync():
            state, _ = denoiser.step(index, state, scores, noise)
    return state
