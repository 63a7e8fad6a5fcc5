"""Checkpoints and settings of their decoders that are compared, by name: one line each.

Those whose success in simulation is compared are in `comparison_sets`, those with errors on the canvas here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from dvla_ros.errors import ConfigurationError

CHECKPOINTS = "checkpoints/widowx_{system}_small"


@dataclass(frozen=True)
class Variant:
    """A checkpoint and how it is decoded.

    Attributes:
        name: `system` for its own decoder, else `system.what_differs`; a file can be called so.
        about: What it is, in a few words.
        decoding: Settings of the decoder that replace the checkpoint's, see `denoising.registry.override`.
        weights: Folder of weights of its own; empty for those of its system.
        training: The command that makes them, where they do not come with the repository.

    Raises:
        ConfigurationError: The name has other characters than letters, digits, `_` and `.`.
    """

    name: str
    about: str
    decoding: Mapping[str, object] = field(default_factory=dict)
    weights: str = ""
    training: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+(\.\w+)?", self.name):
            raise ConfigurationError(f"A variant is called system or system.what_differs, got {self.name!r}.")

    @property
    def system(self) -> str:
        """Name of the system whose weights are used."""
        return self.name.partition(".")[0]

    def checkpoint(self, pattern: str) -> Path:
        """Its checkpoint folder: its own, or from a path with `{system}` in it."""
        return Path(self.weights or pattern.format(system=self.system))


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
