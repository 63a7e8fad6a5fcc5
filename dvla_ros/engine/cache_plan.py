"""What a denoising step keeps of the one before, by name."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

from dvla_ros.errors import ConfigurationError

CacheName = Literal["exact", "prefix", "dllm"]


@dataclass(frozen=True)
class CachePlan:
    """How much of the sequence is computed again in a denoising step.

    - `exact`: whatever the canvas cannot change is computed once, all else in every step. The answers are those of
      running everything.
    - `prefix`: what stands before the canvas is computed in the first step alone, although it sees the canvas
      (Fast-dLLM, arXiv 2505.22618).
    - `dllm`: what stands before it is computed every `prompt_interval` steps and the canvas every `canvas_interval`
      steps; in between only the share `ratio` of its positions, those whose values changed most (dLLM-Cache, arXiv
      2506.06295).

    The last two are approximations where the prefix sees the canvas. Where it does not, `prefix` is `exact`, and `dllm`
    spares positions of the canvas only.

    Attributes:
        name: Which.
        prompt_interval: Steps between two computations of the prefix; `dllm` only.
        canvas_interval: Steps between two computations of the whole canvas; `dllm` only.
        ratio: Share of the canvas that is computed in the steps between; `dllm` only.

    Raises:
        ConfigurationError: A value is unknown or out of range.
    """

    name: CacheName = "exact"
    prompt_interval: int = 25
    canvas_interval: int = 7
    ratio: float = 0.25

    def __post_init__(self) -> None:
        if self.name not in get_args(CacheName):
            raise ConfigurationError(f"cache must be one of {', '.join(get_args(CacheName))}, got {self.name!r}.")
        if min(self.prompt_interval, self.canvas_interval) < 1 or not 0.0 <= self.ratio <= 1.0:
            raise ConfigurationError(
                "cache dllm needs intervals of 1 or more steps and a ratio in 0..1, got "
                f"{self.prompt_interval},{self.canvas_interval},{self.ratio:g}."
            )

    @classmethod
    def parse(cls, text: str) -> "CachePlan":
        """`exact`, `prefix`, `dllm` or, with its three numbers, `dllm:25,7,0.25`.

        Raises:
            ConfigurationError: It is none of these.
        """
        name, _, numbers = text.strip().partition(":")
        if not numbers:
            return cls(cast(CacheName, name))
        try:
            prompt, canvas, ratio = numbers.split(",")
            values = int(prompt), int(canvas), float(ratio)
        except ValueError:
            values = None
        if values is None or name != "dllm":
            raise ConfigurationError(
                f"cache must be exact, prefix, dllm, or dllm:PROMPT_INTERVAL,CANVAS_INTERVAL,RATIO, got {text!r}."
            )
        return cls("dllm", *values)

    def __str__(self) -> str:
        """The text of which `parse` makes the plan."""
        if self.name != "dllm":
            return self.name
        return f"dllm:{self.prompt_interval},{self.canvas_interval},{self.ratio:g}"


EXACT = CachePlan()


def require_exact(plan: CachePlan, system: str) -> None:
    """Make sure that no approximation is asked of a system without a canvas.

    Raises:
        ConfigurationError: One is.
    """
    if plan != EXACT:
        raise ConfigurationError(f"cache must be exact for {system}: its actions are no tokens; got {plan}.")
