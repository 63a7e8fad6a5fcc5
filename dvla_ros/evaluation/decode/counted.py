"""What work does in fact: operations as they are dispatched, and the modules whose weights it reads."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from dvla_ros.evaluation.decode.work import Work


def counted_work(work: Callable[[], object], leave_out: nn.Module | None = None) -> Work:
    """Do work once and count it: its operations, and the bytes of the weights of every module that it called.

    Embeddings are not counted, of which a few rows are read. Attention runs in its plain form, because the counter does
    not know the fused ones of every device.

    Args:
        work: What to do.
        leave_out: A module whose weights are counted elsewhere.
    """
    outside = set() if leave_out is None else {id(module) for module in leave_out.modules()}
    weights: dict[int, int] = {}

    def note(module: nn.Module, _inputs: Any, _output: Any) -> None:
        if id(module) not in outside and not isinstance(module, nn.Embedding):
            weights.update((id(own), own.nbytes) for own in module.parameters(recurse=False))

    hook = register_module_forward_hook(note)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            work()
    finally:
        hook.remove()
    return Work(float(sum(weights.values())), float(counter.get_total_flops()))


def parameter_bytes(module: nn.Module) -> int:
    """Bytes of all parameters, those that are shared once."""
    return sum(parameter.nbytes for parameter in module.parameters())
