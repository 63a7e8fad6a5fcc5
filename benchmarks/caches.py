"""What approximate caches change and save, against exact: tokens, actions and time, on the same observations and seeds.

Examples:
    .venv/bin/python benchmarks/caches.py
    .venv/bin/python benchmarks/caches.py --observations 24 --json benchmarks/results/caches.json \
        --write docs/benchmarks.md
    .venv/bin/python benchmarks/caches.py --only "dd_vla*" --plans exact prefix dllm:25,4,0.25

The shipped policies are block-causal: what stands before the canvas does not see it, so `prefix` is exact there and
`dllm` spares positions of the canvas only. Full attention is measured in the published layouts at small size, with
random weights, which say something of time, but of tokens and actions only how much a cache disturbs a random network.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from inpainting import path_difference
from publish import show, wide_console, write_json, write_page

from dvla_ros.control.observation import Observation
from dvla_ros.engine.cache_plan import EXACT, CachePlan
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.expert_frames import ExpertFrames
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.evaluation.variants import CHECKPOINTS
from dvla_ros.policies.base import Prediction
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.token_policy import TokenPolicy
from dvla_ros.provenance import machine_line
from dvla_ros.simulation.tasks import tasks_of

PART = "caches"
SHIPPED, RANDOM = "shipped", "random"
POLICIES = (
    *((system, SHIPPED) for system in ("dd_vla", "ud_vla", "llada_vla", "dfm_vla")),
    *((system, RANDOM) for system in ("dd_vla", "llada_vla")),
)
PLANS = ("exact", "prefix", "dllm:1,1,0", "dllm:25,2,0.25", "dllm:25,4,0.25", "dllm:25,7,0.25", "dllm:6,6,0")
OTHER_SEED = "exact, another seed"
HEADINGS = (
    "system", "weights", "cache", "action tokens", "canvas tokens", "path mm", "denoising time", "NFE", "unusable",
)  # fmt: skip
_ANOTHER_SEED = 100_000
console = wide_console()


@dataclass(frozen=True)
class CachesConfig:
    """Compare caches.

    Attributes:
        only: Shell patterns of `system.weights`, separated by commas; weights are shipped or random.
        plans: Caches; exact is always measured.
        observations: How many for each policy.
        seed: First scene.
        checkpoints: Checkpoint folder of a system.
        json: File for the figures.
        write: Page whose table is replaced, docs/benchmarks.md.
    """

    only: str = "*"
    plans: tuple[str, ...] = PLANS
    observations: int = 12
    seed: int = 3000
    checkpoints: str = CHECKPOINTS
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if self.observations < 1 or self.seed < 0:
            raise ConfigurationError(f"observations must be 1 or more and the seed 0 or more, got {self}.")
        for plan in self.plans:
            CachePlan.parse(plan)

    @property
    def policies(self) -> list[tuple[str, str]]:
        """System and weights of each policy that is measured."""
        patterns = [pattern.strip() for pattern in self.only.split(",")]
        return [(s, w) for s, w in POLICIES if any(fnmatchcase(f"{s}.{w}", pattern) for pattern in patterns)]


@dataclass(frozen=True)
class Answer:
    """A chunk beside the one that exact gave.

    Attributes:
        action_tokens: Share of action tokens that are the same.
        canvas_tokens: Share of all tokens of the canvas.
        path_mm: Distance of the positions that the actions lead to; NaN where one of the two has none.
        denoise_s: Wall time of denoising.
        nfe: Network evaluations.
    """

    action_tokens: float
    canvas_tokens: float
    path_mm: float
    denoise_s: float
    nfe: int

    @classmethod
    def beside(cls, answer: Prediction, exact: Prediction) -> "Answer":
        """Compare two."""
        usable = answer.usable and exact.usable
        return cls(
            float((answer.tokens == exact.tokens).mean()),
            float((answer.trace[-1].tokens == exact.trace[-1].tokens).mean()),
            path_difference(answer.actions, exact.actions) if usable else float("nan"),
            answer.timings.denoise_s,
            answer.nfe,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        config = tyro.cli(CachesConfig, args=arguments)
        torch.set_num_threads(1)
        console.print(f"Machine: {machine_line()}")
        rows = [row for system, weights in config.policies for row in measured(system, weights, config)]
        publish(rows, config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measured(system: str, weights: str, config: CachesConfig) -> list[dict[str, Any]]:
    """The rows of one policy."""
    policy, observations = shipped(system, config) if weights == SHIPPED else random_weights(system, config)
    names = list(dict.fromkeys([OTHER_SEED, str(EXACT), *config.plans]))
    answers: dict[str, list[Answer]] = {name: [] for name in names}
    for seed, observation in enumerate(observations):
        ask(policy, observation, EXACT, seed)  # the first of several is slower
        exact = ask(policy, observation, EXACT, seed)
        for name in names:
            plan = EXACT if name == OTHER_SEED else CachePlan.parse(name)
            shift = _ANOTHER_SEED if name == OTHER_SEED else 0
            answers[name].append(Answer.beside(ask(policy, observation, plan, seed + shift), exact))
    exact_s = float(np.median([answer.denoise_s for answer in answers[str(EXACT)]]))
    console.print(f"{system}, {weights}: {len(answers[OTHER_SEED])} observations.")
    return [{"system": system, "weights": weights, "cache": n, **summary(a, exact_s)} for n, a in answers.items()]


def ask(policy: TokenPolicy, observation: Observation, plan: CachePlan, seed: int) -> Prediction:
    """A chunk with this cache."""
    policy.network.cache = plan
    return policy.predict(observation, seed=seed)


def summary(answers: Sequence[Answer], exact_s: float) -> dict[str, float]:
    """Means over the observations; of the time the median, divided by exact's."""
    return {
        "action_tokens": float(np.mean([a.action_tokens for a in answers])),
        "canvas_tokens": float(np.mean([a.canvas_tokens for a in answers])),
        "path_mm": float(np.nanmean([a.path_mm for a in answers])),
        "time": float(np.median([a.denoise_s for a in answers]) / exact_s),
        "nfe": float(np.mean([a.nfe for a in answers])),
        "unusable": sum(bool(np.isnan(a.path_mm)) for a in answers),
    }


def shipped(system: str, config: CachesConfig) -> tuple[TokenPolicy, Iterator[Observation]]:
    """The shipped policy, and what it would see along the way of the expert."""
    policy = load_policy(Path(config.checkpoints.format(system=system)))
    return policy, (frame.observation for frame in seen(config))  # type: ignore[return-value]


def seen(config: CachesConfig) -> Iterator[Any]:
    """Four instants of each scene, one pick task after the other."""
    frames, tasks, each = ExpertFrames(), tasks_of(("pick",)), 4
    for first in range(0, config.observations, each):
        scene, count = config.seed + first // each, min(each, config.observations - first)
        yield from frames.episode(tasks[scene % len(tasks)], scene, frames=count, spacing=4, horizon=1)


def random_weights(system: str, config: CachesConfig) -> tuple[TokenPolicy, list[Observation]]:
    """A policy in the published layout at small size, and random pictures."""
    from dvla_ros.policies.published.deployment import Deployment
    from dvla_ros.policies.published.fresh import WRITERS
    from dvla_ros.policies.published.load import make_policy
    from dvla_ros.policies.published.recognise import read_setup
    from dvla_ros.policies.published.self_tests import blank_observation

    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "run" / "checkpoint"
        WRITERS[system](folder, size="small", seed=0)
        setup = read_setup(folder, Deployment())
        policy = make_policy(setup, setup.network(torch.device("cpu"), torch.float32))
        blank, draw = blank_observation(setup), np.random.default_rng(config.seed)
    pictures = [
        {name: draw.integers(0, 256, image.shape, dtype=np.uint8) for name, image in blank.images.items()}
        for _ in range(config.observations)
    ]
    return policy, [replace(blank, images=images) for images in pictures]  # type: ignore[return-value]


def publish(rows: Sequence[dict[str, Any]], config: CachesConfig) -> None:
    """Print the table, and write it where asked."""
    table = FigureTable(HEADINGS, tuple(cells(row) for row in rows))
    show(console, table, "Caches against exact", leave_out="")
    if config.json is not None:
        write_json(console, config.json, {"machine": machine_line(), "rows": rows})
    if config.write is not None:
        write_page(console, config.write, PART, table, f"{config.observations} observations each. {machine_line()}.")


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """One row as text."""
    return (
        row["system"],
        row["weights"],
        f"`{row['cache']}`" if row["cache"] != OTHER_SEED else OTHER_SEED,
        f"{100 * row['action_tokens']:.1f} %",
        f"{100 * row['canvas_tokens']:.1f} %",
        f"{row['path_mm']:.1f}",
        f"{row['time']:.2f}",
        f"{row['nfe']:.1f}",
        str(row["unusable"]),
    )


if __name__ == "__main__":
    sys.exit(main())
