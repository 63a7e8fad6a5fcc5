"""Ways to take fewer denoising steps that are compared: success in simulation against network evaluations.

A new one is a line in `STEP_VARIANTS`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.denoising.masked import MaskedConfig
from dvla_ros.evaluation.variants import Variant

OWN = "own decoder"
"""The rule of a system's own decoder with its own number of steps, which the others are compared with."""
AT_REST = ReplanningConfig(mode="sync", lead_s=0.0)
"""The arm waits for every chunk and nothing is given: a chunk from scratch, as in the comparison of systems."""
WHOLE = ReplanningConfig(mode="inpaint", lead_s=0.0, early_stop=False)
"""The arm goes on while it is inferred, the rows that are executed meanwhile are given, and all others are decided."""


@dataclass(frozen=True)
class StepVariant:
    """One point of the comparison.

    Attributes:
        rule: What kind of rule, e.g. `credit`.
        setting: Its setting, in a few words.
        variant: Checkpoint and decoder.
        replanning: How chunks follow each other; only points of the same are compared.
    """

    rule: str
    setting: str
    variant: Variant
    replanning: ReplanningConfig = AT_REST

    @property
    def system(self) -> str:
        """Name of the system whose weights are used."""
        return self.variant.system

    @property
    def going_on(self) -> bool:
        """Whether the arm moves while a chunk is inferred."""
        return self.replanning.mode != AT_REST.mode


def _point(name: str, rule: str, setting: str, **decoding: object) -> StepVariant:
    return StepVariant(rule, setting, Variant(name, f"{rule}: {setting}", decoding))


def _moving(name: str, rule: str, setting: str, decoding: Mapping[str, object], **changes: object) -> StepVariant:
    replanning = ReplanningConfig(**{**asdict(WHOLE), **changes})
    return StepVariant(rule, setting, Variant(name, f"{rule}: {setting}", decoding), replanning)


def _acceptance(system: str, steps: int, **shared: object) -> tuple[StepVariant, ...]:
    """Every rule of acceptance at its settings, in so many steps at most."""

    def points(rule: str, what: str, values: tuple[float, ...], **decoding: object) -> list[StepVariant]:
        return [
            _point(
                f"{system}.{rule.replace(' ', '_')}_{100 * value:04.0f}",
                rule,
                f"{what} {value:g}, {steps} steps at most",
                num_steps=steps,
                **{**shared, **decoding, what: value},
            )
            for value in values
        ]

    return (
        *points("threshold", "threshold", (0.5, 0.3, 0.2), decoder="threshold"),
        *points("credit", "threshold", (0.5, 0.3), decoder="credit"),
        *points("entropy bound", "entropy_bound", (5.0, 20.0, 60.0), decoder="threshold", accept="entropy_bound"),
        *points("factor", "factor", (2.0, 6.0), decoder="threshold", accept="factor"),
        *points("stopping", "stop_entropy", (1.5, 2.5), decoder="stopping"),
    )


_SAMPLED, _ALL_SAMPLED = {"value_temperature": 0.7}, {"value_temperature": 1.0}
"""As the own decoders of Discrete Diffusion VLA and of UD-VLA draw values, so that only the rule differs."""

STEP_VARIANTS = (
    _point("dd_vla", OWN, "12 steps"),
    *(_point(f"dd_vla.steps_{n:02d}", "fewer steps", f"{n} steps", num_steps=n) for n in (1, 2, 3, 4, 6)),
    *_acceptance("dd_vla", 6, **_SAMPLED),
    _point("dd_vla.blockwise", "blockwise", "1 action", decoder="blockwise", **_SAMPLED),
    _point(
        "dd_vla.blockwise_2", "blockwise", "2 actions, above 0.3",
        decoder="blockwise", block_actions=2, threshold=0.3, **_SAMPLED,
    ),
    _point(
        "dd_vla.blockwise_4", "blockwise", "4 actions, above 0.3",
        decoder="blockwise", block_actions=4, threshold=0.3, **_SAMPLED,
    ),
    _point("ud_vla", OWN, "24 steps"),
    *(_point(f"ud_vla.steps_{n:02d}", "fewer steps", f"{n} steps", num_steps=n) for n in (2, 4, 6, 8, 12)),
    _point("ud_vla.actions_12", "end with the actions", "12 steps", num_steps=12, finish_with_actions=True),
    *_acceptance("ud_vla", 8, **_ALL_SAMPLED),
    _point(
        "ud_vla.arg_max", "threshold", "the same by arg-max, threshold 0.5",
        decoder="threshold", threshold=0.5, num_steps=8,
    ),
    _point("ud_vla.blockwise", "blockwise", "32 tokens", decoder="blockwise", **_ALL_SAMPLED),
    _point("llada_vla", OWN, "2 steps an action"),
    _point("llada_vla.once", "fewer steps", "1 step an action", iterations_per_action=1),
    *(
        _point(
            f"llada_vla.quota_{n}", "LLaDA's quota", f"{n} steps", decoder="masked", **asdict(MaskedConfig.llada(n))
        )
        for n in (2, 4)
    ),
    *_acceptance("llada_vla", 4),
    _point("llada_vla.blockwise", "blockwise", "1 action", decoder="blockwise"),
    _point("dfm_vla", OWN, "14 jumping, 2 arg-max steps"),
    *(
        _point(f"dfm_vla.fine_{n}_{v}", "fewer steps", f"{n} jumping, {v} arg-max", fine_steps=n, validate_steps=v)
        for n, v in ((6, 2), (4, 2), (2, 2), (1, 1))
    ),
    _point("dfm_vla.jacobi", "until nothing changes", "at most 36 steps", decoder="jacobi"),
    _point("dfm_vla.jacobi_4", "until nothing changes", "at most 4 steps", decoder="jacobi", num_steps=4),
    # While the arm goes on.
    _moving("dd_vla.going_on", OWN, "all rows, T steps", {"adaptive_steps": False}),
    _moving("dd_vla.adaptive", "adaptive steps", "all rows", {}),
    _moving("dd_vla.early", "adaptive steps", "ends with the rows needed", {}, early_stop=True),
    _moving("dd_vla.warm", "warm start", "all rows", {}, warm_start=True),
    _moving("dd_vla.early_warm", "warm start", "ends with the rows needed", {}, early_stop=True, warm_start=True),
)  # fmt: skip
