"""What is measured: which policy, who sees whom in it, and with which decoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.policies.published.deployment import Deployment

Size = Literal["small", "true", "shipped"]
SYSTEMS = ("dd_vla", "ud_vla", "llada_vla", "dfm_vla", "diffusion_vla")
RELEASED = {"dd_vla": "full", "ud_vla": "merged", "llada_vla": "full", "dfm_vla": "full"}
"""Who sees whom in the published weights."""
BLOCK_CAUSAL = "block_causal"
WORDS = 32
"""Tokens of a reasoning."""

_SMALL_UD_STEPS = 4
"""UD-VLA ranks 817 positions over 32 775 ids in every step; all 72 take minutes on a CPU, whatever the trunk's size."""


@dataclass(frozen=True)
class Case:
    """One policy, and the plans to measure it with.

    Attributes:
        system: Whose.
        size: Which.
        attention: Who sees whom; "" for that of the checkpoint.
        plans: What a denoising step keeps.
        deployment: How a published layout is used.
    """

    system: str
    size: Size
    attention: str
    plans: tuple[CachePlan, ...]
    deployment: Deployment = field(default_factory=Deployment)


def cases(
    systems: Sequence[str], sizes: Sequence[Size], attentions: Sequence[str], plans: Sequence[CachePlan]
) -> Iterator[Case]:
    """All that is asked for, system by system.

    Args:
        systems: Of `SYSTEMS`.
        sizes: Of published layouts, or the shipped policies.
        attentions: `block_causal` and `released`; a shipped policy has its own, and a reasoning one is causal.
        plans: Approximations are left out where they would be exact, and where actions are no tokens.
    """
    exact = tuple(plan for plan in plans if plan.name != "prefix")
    for system in systems:
        for size in sizes:
            if system == "diffusion_vla":
                yield Case(system, size, "", (CachePlan(),), _deployment(system, size))
            elif size == "shipped":
                yield Case(system, size, "", exact)
            else:
                yield from _token_cases(system, size, attentions, tuple(plans), exact)


def _token_cases(
    system: str, size: Size, attentions: Sequence[str], plans: tuple[CachePlan, ...], exact: tuple[CachePlan, ...]
) -> Iterator[Case]:
    for name in attentions:
        attention = RELEASED[system] if name == "released" else name
        deployment = replace(_deployment(system, size), attention=attention)
        yield Case(system, size, attention, exact if attention == BLOCK_CAUSAL else plans, deployment)


def _deployment(system: str, size: Size) -> Deployment:
    """Two cameras and the published lengths: 8 x 7 tokens, 35, 69, 817, and 32 words."""
    if system == "dd_vla":
        return Deployment(horizon=8)
    if system == "dfm_vla":
        return Deployment(system="dfm_vla")
    if system == "diffusion_vla":
        return Deployment(decoding={"max_reasoning_tokens": WORDS})
    if system == "llada_vla":
        return Deployment(cameras=("front", "wrist"))
    return Deployment(decoding={"num_steps": _SMALL_UD_STEPS} if size == "small" else {})
