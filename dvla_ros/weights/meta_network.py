"""Building a network without memory for its parameters."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def on_meta(factory: Callable[[], ModuleT]) -> ModuleT:
    """Build a network whose parameters are on the meta device and whose buffers are real.

    Every parameter goes to the meta device when its module gets it, before it is initialised; so neither time nor
    memory is spent on values that a checkpoint replaces, and at most one parameter is allocated at a time. Tables that
    the network computes for itself, buffers that are not saved, keep their values; `torch.device("meta")` would lose
    them. Tied parameters stay tied. Other threads can build networks meanwhile.

    Args:
        factory: Builds the network on the CPU, e.g. `lambda: Trunk(config)`.
    """
    thread = threading.get_ident()
    moved = WeakIdKeyDictionary()  # the same parameter given to two modules is the same afterwards

    def to_meta(_: nn.Module, __: str, parameter: nn.Parameter) -> nn.Parameter:
        if threading.get_ident() != thread or parameter.is_meta:
            return parameter
        if parameter not in moved:
            moved[parameter] = nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)
        found: nn.Parameter = moved[parameter]
        return found

    handle = register_module_parameter_registration_hook(to_meta)  # type: ignore[arg-type]
    try:
        with _NoNormalNumbers():
            return factory()
    finally:
        handle.remove()


class _NoNormalNumbers(TorchFunctionMode):
    """Leaves out `normal_` on the meta device, where it changes nothing and first takes PyTorch seconds to import."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") == "normal_":
            tensor: Tensor = args[0] if args else kwargs["tensor"]  # a method, or a function of torch.nn.init
            if tensor.is_meta:
                return tensor
        return func(*args, **kwargs)
