"""What is compared in simulation, in sets with one question each. A new variant is one line in its set."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from dvla_ros.denoising.masked import MaskedConfig
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.variants import Variant

_SAMPLED = {"value_temperature": 0.7}
"""The temperature of our DD-VLA: arg-max prefers standing still to a movement that is spread over many bins."""
_ONE_SHOT, _ONE_BY_ONE = {"decoder": "one_shot"}, {"decoder": "autoregressive"}
_OWN = "own decoder"


@dataclass(frozen=True)
class ComparisonSet:
    """Variants that answer one question; the first is what the others are compared with.

    Attributes:
        about: The question.
        variants: What is compared.
    """

    about: str
    variants: tuple[Variant, ...]


def _steps(system: str, counts: Sequence[int]) -> tuple[Variant, ...]:
    return tuple(Variant(f"{system}.steps_{n:02d}", f"{n} steps", {"num_steps": n}) for n in counts)


def _flow(fine: int, validate: int) -> Variant:
    about = f"{fine} jumping and {validate} arg-max steps"
    return Variant(f"dfm_vla.fine_{fine}_{validate}", about, {"fine_steps": fine, "validate_steps": validate})


def _trained(name: str, about: str, options: str, data: str = "data/a", **decoding: object) -> Variant:
    """A DD-VLA with weights of its own, all trained alike from the shipped perception but for `options`."""
    out = f"runs/{name.replace('.', '_')}"
    training = (
        f"dvla train --system dd_vla --data {data} --backbone checkpoints/widowx_dd_vla_small --freeze-perception "
        f"--steps 1200 --threads 1 {options} --out {out}"
    )
    return Variant(name, about, decoding, out, training)


def _chunk(rows: int) -> Variant:
    return _trained(f"dd_vla.chunk_{rows:02d}", f"chunks of {rows} actions", f"--horizon {rows}", "data/rows_10")


COMPARISONS: dict[str, ComparisonSet] = {
    "systems": ComparisonSet(
        "the five systems, and one token after the other or all at once on the same weights",
        (
            Variant("dd_vla", "12 steps by max-confidence, values at 0.7, no re-masking"),
            Variant("ud_vla", "images and actions jointly, 24 steps, shared ranking"),
            Variant("llada_vla", "action by action, 2 steps each"),
            Variant("dfm_vla", "flow matching, 14 jumping and 2 arg-max steps"),
            Variant("diffusion_vla", "reasoning, then DDIM in 10 steps"),
            Variant("dd_vla.one_shot", "all at once, arg-max", _ONE_SHOT),
            Variant("dd_vla.one_shot_sampled", "all at once, values at 0.7", {**_ONE_SHOT, **_SAMPLED}),
            Variant("dd_vla.autoregressive", "one by one, arg-max", _ONE_BY_ONE),
            Variant("dd_vla.autoregressive_sampled", "one by one, at 0.7", {**_ONE_BY_ONE, **_SAMPLED}),
            Variant("llada_vla.one_shot", "all at once, arg-max", _ONE_SHOT),
            Variant("llada_vla.autoregressive", "one by one, arg-max", _ONE_BY_ONE),
            Variant("dfm_vla.one_shot", "all at once, arg-max, from any tokens", {"decoder": "jacobi", "num_steps": 1}),
            Variant("ud_vla.one_shot", "all at once, arg-max", _ONE_SHOT),
            Variant("ud_vla.autoregressive", "one by one, arg-max", _ONE_BY_ONE),
        ),
    ),
    "orders": ComparisonSet(
        "which proposals are committed first",
        (
            Variant("dd_vla", "the likeliest token"),
            Variant("dd_vla.confidence", "the probability of the sampled token", {"order": "confidence"}),
            Variant("dd_vla.margin", "the lead of the likeliest token", {"order": "margin"}),
            Variant("dd_vla.entropy", "the lowest entropy", {"order": "entropy"}),
            Variant("dd_vla.random", "no order", {"order": "random"}),
            Variant("llada_vla", "hierarchical"),
            Variant("llada_vla.chronological", "the earliest action first", {"order": "chronological"}),
            Variant(
                "llada_vla.plain",
                "LLaDA's even quota, 10 steps",
                {"decoder": "masked", **asdict(MaskedConfig.llada(10))},
            ),
            Variant("ud_vla", "images and actions by one ranking"),
            Variant("ud_vla.separate", "images and actions each by the schedule", {"budgets": "separate"}),
        ),
    ),
    "remasking": ComparisonSet(
        "whether a committed token can be taken back, and the published decoders as a whole",
        (
            Variant("dd_vla", "never"),
            Variant("dd_vla.remask_released", "released soft re-masking", {"remask": "released"}),
            Variant("dd_vla.remask_paper", "paper: threshold and drop", {"remask": "paper"}),
            Variant(
                "dd_vla.remask_top",
                "paper: threshold and top 4",
                {"remask": "paper", "remask_drop": None, "remask_top": 4},
            ),
            Variant("dd_vla.released", "the released decoder", asdict(MaskedConfig.released())),
            Variant("dd_vla.paper", "the paper's decoder", asdict(MaskedConfig.paper())),
            Variant("dd_vla.greedy", "arg-max values", {"greedy": True}),
        ),
    ),
    "steps": ComparisonSet(
        "how many denoising steps",
        (
            Variant("dd_vla", "12 steps"),
            *_steps("dd_vla", (1, 2, 3, 4, 6, 8, 10, 14, 16)),
            Variant("ud_vla", "24 steps"),
            *_steps("ud_vla", (1, 2, 4, 8, 16)),
            Variant("llada_vla", "2 steps an action"),
            Variant("llada_vla.once", "1 step an action", {"iterations_per_action": 1}),
            Variant("diffusion_vla", "10 steps"),
            *_steps("diffusion_vla", (1, 2, 5, 20)),
        ),
    ),
    "flow_split": ComparisonSet(
        "DFM-VLA: T_fine steps that jump and T_val that take the arg-max",
        (
            Variant("dfm_vla", "14 jumping and 2 arg-max steps"),
            *(_flow(*split) for split in ((16, 0), (15, 1), (12, 4), (8, 8), (4, 12), (4, 2), (2, 2), (1, 1))),
        ),
    ),
    "rules": ComparisonSet(
        "other rules on the same weights",
        (
            Variant("dd_vla", _OWN),
            Variant("dd_vla.threshold", "all above 0.9", {"decoder": "threshold", **_SAMPLED}),
            Variant("dd_vla.factor", "Fast-dLLM's factor", {"decoder": "threshold", "accept": "factor", **_SAMPLED}),
            Variant(
                "dd_vla.entropy_bound",
                "entropy bound",
                {"decoder": "threshold", "accept": "entropy_bound", **_SAMPLED},
            ),
            Variant("ud_vla", _OWN),
            Variant("ud_vla.sampled_cooler", "values at 0.7", _SAMPLED),
            Variant("dfm_vla", _OWN),
            Variant("dfm_vla.sampled_cooler", "values at 0.7", _SAMPLED),
            Variant("dfm_vla.jacobi", "arg-max everywhere until nothing changes", {"decoder": "jacobi"}),
            Variant("diffusion_vla", _OWN),
            Variant("diffusion_vla.silent", "without reasoning", {"reason": False}),
        ),
    ),
    "chunk": ComparisonSet("how many actions a chunk has", tuple(_chunk(rows) for rows in (8, 3, 5, 10))),
    "bins": ComparisonSet(
        "how many bins a value has",
        tuple(_trained(f"dd_vla.bins_{size:04d}", f"{size} bins", f"--coding size={size}") for size in (256, 32, 1024)),
    ),
    "fast_against_bins": ComparisonSet(
        "FAST tokens or bins, by the same decoder and network",
        (
            _trained("dd_vla.bins_0256", "256 bins", "--coding size=256"),
            _trained("dd_vla.fast", "FAST tokens", "--coding kind=fast whole_row=true --objective expectation=0"),
        ),
    ),
}


def variants_of(sets: Sequence[str]) -> tuple[Variant, ...]:
    """The variants of these sets, each once; one that several sets have is called what it is in the first.

    Raises:
        ConfigurationError: There is no such set.
    """
    if unknown := [name for name in sets if name not in COMPARISONS]:
        raise ConfigurationError(f"There is no set {unknown[0]!r} of variants; choose of {', '.join(COMPARISONS)}.")
    found: dict[str, Variant] = {}
    for name in sets:
        for variant in COMPARISONS[name].variants:
            found.setdefault(variant.name, variant)
    return tuple(found.values())
