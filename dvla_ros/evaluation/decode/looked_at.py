"""What stands where in a token network's sequence, and what its prefix is: for counting and for the baseline."""

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor, nn

from dvla_ros.denoising.canvas import Canvas
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.decode.step_work import HeadShape, SequenceShape
from dvla_ros.models.attention import all_rows, visibility
from dvla_ros.models.language_model import LanguageModel
from dvla_ros.models.trunk import Trunk
from dvla_ros.policies.published.emu3_network import Emu3Network
from dvla_ros.policies.published.llada_v_network import LladaVNetwork
from dvla_ros.policies.published.prismatic_network import PrismaticNetwork
from dvla_ros.policies.small_token_network import SmallTokenNetwork


@dataclass(frozen=True)
class LookedAt:
    """The sequence of one observation before its canvas.

    Attributes:
        embedded: `[1, P, W]`, what stands before the positions that run in every step.
        settled: How many of its positions, from the first, see nothing behind them.
        run: Positions that run in every step.
        settled_mask: bool `[settled, settled]`, who sees whom among the settled; None where all see each other.
    """

    embedded: Tensor
    settled: int
    run: int
    settled_mask: Tensor | None = None


@singledispatch
def look_at(network: object, context: Any) -> LookedAt:
    """What `network` made of the observation of `context`, which its `prefill` gave.

    Raises:
        ConfigurationError: It is no network whose sequence is known here.
    """
    raise ConfigurationError(f"The sequence of a {type(network).__name__} is not known; add it to looked_at.py.")


@look_at.register
def _(network: SmallTokenNetwork, context: Any) -> LookedAt:
    tokens = context.prefix.tokens
    settled = 0 if network.model.config.attention == "full" else tokens.shape[1]
    return LookedAt(tokens, settled, network.canvas.length)


@look_at.register
def _(network: PrismaticNetwork, context: Any) -> LookedAt:
    settled = 0 if network.prompt_sees_canvas else context.embedded.shape[1]
    return LookedAt(context.embedded, settled, 1 + network.canvas.length + 1)


@look_at.register
def _(network: LladaVNetwork, context: Any) -> LookedAt:
    settled = 0 if network.prompt_sees_canvas else context.embedded.shape[1]
    return LookedAt(context.embedded, settled, network.canvas.length)


@look_at.register
def _(network: Emu3Network, context: Any) -> LookedAt:
    whole = context.last is not None
    embedded = context.prompt if whole else context.prompt[:, :-1]
    mask = visibility(context.levels, network.attention)[: context.settled, : context.settled]
    return LookedAt(embedded, context.settled, network.canvas.length + (not whole), mask)


def sequence_shape(network: Any, context: Any, weight_bytes: float | None = None) -> SequenceShape:
    """The sizes alone, for counting; `weight_bytes` as in `SequenceShape`."""
    seen, trunk, language = look_at(network, context), trunk_of(network.model), language_of(network.model)
    return SequenceShape(
        trunk=trunk.config,
        prefix=seen.embedded.shape[1],
        settled=seen.settled,
        run=seen.run,
        heads=_heads(network.canvas),
        vocabulary=0 if language is None else language.vocabulary,
        number_bytes=number_bytes(trunk),
        weight_bytes=weight_bytes,
    )


def trunk_of(model: nn.Module) -> Trunk:
    """The one trunk of a model.

    Raises:
        ConfigurationError: It has none.
    """
    for module in model.modules():
        if isinstance(module, Trunk):
            return module
    raise ConfigurationError(f"{type(model).__name__} has no trunk, so that nothing can be counted.")


def number_bytes(trunk: Trunk) -> int:
    """Bytes of a number, as normalisations hold it: matrices may be held in fewer."""
    return next(trunk.norm.parameters()).element_size()


def language_of(model: nn.Module) -> LanguageModel | None:
    """The language model within; None for a network whose canvas has heads of its own."""
    return next((module for module in model.modules() if isinstance(module, LanguageModel)), None)


def whole_mask(seen: LookedAt, mask: Tensor | None) -> Tensor | None:
    """Who sees whom in the whole sequence, bool `[L, L]` or `[B, L, L]`; None where everybody sees everybody.

    Args:
        seen: What stands before.
        mask: Rows of the positions that are not settled, or of the last of them, see `Trunk`; `[M, L]` or `[B, M, L]`.
            None where these see everything.
    """
    length, settled, device = seen.embedded.shape[1] + seen.run, seen.settled, seen.embedded.device
    mask = None if mask is None else all_rows(mask, length - settled)
    if settled == 0:
        return mask
    above = torch.zeros(settled, length, dtype=torch.bool, device=device)
    above[:, :settled] = True if seen.settled_mask is None else seen.settled_mask
    if mask is None:
        mask = torch.ones(length - settled, length, dtype=torch.bool, device=device)
    return torch.cat([above.expand(*mask.shape[:-2], -1, -1), mask], dim=-2)


def _heads(canvas: Canvas) -> tuple[HeadShape, ...]:
    return tuple(HeadShape(segment.length, segment.choices) for segment in canvas.segments)
