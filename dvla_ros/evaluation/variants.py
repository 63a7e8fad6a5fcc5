"""Systems and settings of their decoders that are compared, by name: one line each.

A new one is a line in `SYSTEM_VARIANTS` (success in simulation) or in `REPAIR_VARIANTS` (errors on the canvas).
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from dvla_ros.denoising.masked import MaskedConfig
from dvla_ros.errors import ConfigurationError
from dvla_ros.simulation.tasks import FAMILIES

CHECKPOINTS = "checkpoints/widowx_{system}_small"


@dataclass(frozen=True)
class Variant:
    """A checkpoint and how it is decoded.

    Attributes:
        name: `system` for its own decoder, else `system.what_differs`; a file can be called so.
        about: What it is, in a few words.
        decoding: Settings of the decoder that replace the checkpoint's, see `denoising.registry.override`.
        tasks: Task names or families; empty for those that the caller chooses.

    Raises:
        ConfigurationError: The name has other characters than letters, digits, `_` and `.`.
    """

    name: str
    about: str
    decoding: Mapping[str, object] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+(\.\w+)?", self.name):
            raise ConfigurationError(f"A variant is called system or system.what_differs, got {self.name!r}.")

    @property
    def system(self) -> str:
        """Name of the system whose weights are used."""
        return self.name.partition(".")[0]

    def checkpoint(self, pattern: str) -> Path:
        """Its checkpoint folder, from a path with `{system}` in it."""
        return Path(pattern.format(system=self.system))


def chosen(variants: tuple[Variant, ...], only: str) -> tuple[Variant, ...]:
    """The variants whose name fits one of some shell patterns, separated by commas.

    Raises:
        ConfigurationError: None does.
    """
    patterns = [pattern.strip() for pattern in only.split(",")]
    fitting = tuple(v for v in variants if any(fnmatchcase(v.name, pattern) for pattern in patterns))
    if not fitting:
        raise ConfigurationError(f"No variant is called {only!r}; there are {', '.join(v.name for v in variants)}.")
    return fitting


_SAMPLED = {"value_temperature": 0.7}
"""The temperature of our DD-VLA: arg-max prefers standing still to a movement that is spread over many bins."""

SYSTEM_VARIANTS = (
    # Every system with its own decoder.
    Variant("dd_vla", "12 steps by max-confidence, values at 0.7, no re-masking"),
    Variant("ud_vla", "images and actions jointly, 24 steps, shared ranking"),
    Variant("llada_vla", "action by action, 2 steps each"),
    Variant("dfm_vla", "flow matching, 14 jumping and 2 arg-max steps"),
    Variant("diffusion_vla", "reasoning, then DDIM in 10 steps"),
    Variant("dd_vla.all_tasks", "own decoder", tasks=FAMILIES),
    Variant("ud_vla.all_tasks", "own decoder", tasks=FAMILIES),
    Variant("llada_vla.all_tasks", "own decoder", tasks=FAMILIES),
    Variant("dfm_vla.all_tasks", "own decoder", tasks=FAMILIES),
    Variant("diffusion_vla.all_tasks", "own decoder", tasks=FAMILIES),
    # Discrete Diffusion VLA: which proposals are committed first.
    Variant("dd_vla.confidence", "the probability of the sampled token", {"order": "confidence"}),
    Variant("dd_vla.margin", "the lead of the likeliest token", {"order": "margin"}),
    Variant("dd_vla.entropy", "the lowest entropy", {"order": "entropy"}),
    Variant("dd_vla.random", "no order", {"order": "random"}),
    # Discrete Diffusion VLA: whether a committed token can be taken back.
    Variant("dd_vla.remask_released", "released soft re-masking", {"remask": "released"}),
    Variant("dd_vla.remask_paper", "paper: threshold and drop", {"remask": "paper"}),
    Variant(
        "dd_vla.remask_top", "paper: threshold and top 4", {"remask": "paper", "remask_drop": None, "remask_top": 4}
    ),
    # Discrete Diffusion VLA: the two published decoders as a whole, and no randomness.
    Variant("dd_vla.released", "the released decoder", asdict(MaskedConfig.released())),
    Variant("dd_vla.paper", "the paper's decoder", asdict(MaskedConfig.paper())),
    Variant("dd_vla.greedy", "arg-max values", {"greedy": True}),
    # Discrete Diffusion VLA: how many steps.
    *(Variant(f"dd_vla.steps_{n:02d}", f"{n} steps", {"num_steps": n}) for n in (1, 2, 3, 4, 6, 8, 10)),
    # Other decoders on the weights of Discrete Diffusion VLA.
    Variant("dd_vla.one_shot", "all at once, arg-max", {"decoder": "one_shot"}),
    Variant("dd_vla.one_shot_sampled", "all at once, values at 0.7", {"decoder": "one_shot", **_SAMPLED}),
    Variant("dd_vla.autoregressive", "one by one, arg-max", {"decoder": "autoregressive"}),
    Variant("dd_vla.autoregressive_sampled", "one by one, at 0.7", {"decoder": "autoregressive", **_SAMPLED}),
    Variant("dd_vla.threshold", "all above 0.9", {"decoder": "threshold", **_SAMPLED}),
    Variant("dd_vla.factor", "Fast-dLLM's factor", {"decoder": "threshold", "accept": "factor", **_SAMPLED}),
    Variant("dd_vla.entropy_bound", "entropy bound", {"decoder": "threshold", "accept": "entropy_bound", **_SAMPLED}),
    # LLaDA-VLA: its hierarchy against LLaDA's own decoder, in the same number of steps.
    Variant("llada_vla.plain", "LLaDA's even quota, 10 steps", {"decoder": "masked", **asdict(MaskedConfig.llada(10))}),
    Variant("llada_vla.chronological", "the earliest action first", {"order": "chronological"}),
    # UD-VLA: one ranking for images and actions, or one each.
    Variant("ud_vla.sampled_cooler", "values at 0.7", _SAMPLED),
    Variant("ud_vla.separate", "images and actions each by the schedule", {"budgets": "separate"}),
    # DFM-VLA: how many steps jump and how many take the arg-max.
    Variant("dfm_vla.fine_16_0", "16 jumping steps", {"fine_steps": 16, "validate_steps": 0}),
    Variant("dfm_vla.fine_8_8", "8 jumping and 8 arg-max steps", {"fine_steps": 8, "validate_steps": 8}),
    Variant("dfm_vla.fine_4_2", "4 jumping and 2 arg-max steps", {"fine_steps": 4, "validate_steps": 2}),
    Variant("dfm_vla.sampled_cooler", "values at 0.7", _SAMPLED),
    Variant("dfm_vla.jacobi", "arg-max everywhere until nothing changes", {"decoder": "jacobi"}),
    # DiffusionVLA: how many steps, and whether it reasons.
    Variant("diffusion_vla.steps_05", "DDIM in 5 steps", {"num_steps": 5}),
    Variant("diffusion_vla.steps_20", "DDIM in 20 steps", {"num_steps": 20}),
    Variant("diffusion_vla.silent", "without reasoning", {"reason": False}),
)

_ARG_MAX = {"greedy": True, "order": "max_confidence"}
"""Without sampling, so that a token that is decided again can become the same again."""

REPAIR_VARIANTS = (
    Variant("dd_vla.plain", "by confidence, never looking back", {**_ARG_MAX, "remask": "none"}),
    Variant("dd_vla.released", "released soft re-masking", {**_ARG_MAX, "remask": "released"}),
    Variant("dd_vla.paper", "paper: threshold and drop", {**_ARG_MAX, "remask": "paper"}),
    Variant(
        "dd_vla.paper_top",
        "paper: threshold and top 4",
        {
            **_ARG_MAX,
            "remask": "paper",
            "remask_drop": None,
            "remask_top": 4,
        },
    ),
    Variant("dd_vla.autoregressive", "one by one", {"decoder": "autoregressive"}),
    Variant("dd_vla.one_shot", "all at once", {"decoder": "one_shot"}),
    Variant("dfm_vla.flow", "discrete flow matching, 14 + 2 steps", {"fine_steps": 14, "validate_steps": 2}),
    Variant("dfm_vla.flow_8_8", "discrete flow matching, 8 + 8 steps", {"fine_steps": 8, "validate_steps": 8}),
    Variant("dfm_vla.flow_16_0", "discrete flow matching, 16 + 0 steps", {"fine_steps": 16, "validate_steps": 0}),
)
