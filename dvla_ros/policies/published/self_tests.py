"""What is tested before a published checkpoint may drive: the mistakes that make no noise.

A wrong attention mask costs OpenVLA-OFT forty points of success and raises no error; statistics of another data set
move the arm by the wrong amount; a tokenizer of another model talks of something else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dvla_ros.control.bridge import bridge_state
from dvla_ros.control.chunk import ControlMode
from dvla_ros.control.observation import Observation
from dvla_ros.control.widowx import FINGER_OPEN, NEUTRAL
from dvla_ros.errors import CheckpointError
from dvla_ros.policies.base import Policy
from dvla_ros.policies.golden import golden_problem
from dvla_ros.policies.published.layout import Setup

_INSTRUCTION = "pick up the red cube"
_LARGEST_STEP = (0.25, 0.25, 0.25, 1.0, 1.0, 1.0)
"""Metres and radians: more in one step is no increment of an arm but a pose."""
_TOO_ALIKE = 1e-6


@dataclass(frozen=True)
class SelfTest:
    """The outcome of one test.

    Attributes:
        name: Of the test.
        problem: What is wrong and what to do; "" where nothing is.
        detail: What was looked at, in words.
    """

    name: str
    problem: str
    detail: str = ""


def require_passed(tests: Iterable[SelfTest], folder: Path) -> None:
    """Refuse a checkpoint of which a test failed.

    Raises:
        CheckpointError: With every problem.
    """
    problems = [f"{test.name}: {test.problem}" for test in tests if test.problem]
    if problems:
        raise CheckpointError(f"{folder} failed its tests at start-up. {' '.join(problems)}")


def check_setup(setup: Setup) -> tuple[SelfTest, ...]:
    """Tests that need no weights."""
    return (_check_action_statistics(setup),)


def check_network(setup: Setup, network: Any, device: torch.device) -> tuple[SelfTest, ...]:
    """Tests of the loaded network, on one made-up observation.

    Args:
        setup: What was read.
        network: A `TokenNetwork` that is `Probed`, or a `ReasoningNetwork` with a `causal_probe`.
        device: Where it runs.
    """
    with torch.no_grad():
        inputs = network.prepare(blank_observation(setup))
        if setup.codec is None:
            return (_check_causality(network, inputs),)
        context = network.prefill(inputs, np.zeros((0, setup.codec.dim), np.float32))
        return _check_vocabulary(setup, network, context, device), _check_bidirectionality(network, context, device)


def check_answer(setup: Setup, policy: Policy) -> tuple[SelfTest, ...]:
    """Tests of the whole policy."""
    problem, detail = golden_problem(policy, setup.folder)
    return (SelfTest("golden chunk", problem, detail),)


def blank_observation(setup: Setup) -> Observation:
    """Grey images with a gradient, the arm at rest."""
    ramp = np.linspace(0, 255, 480 * 640, dtype=np.uint8).reshape(480, 640, 1)
    images = {camera: np.repeat(ramp, 3, axis=2) for camera in setup.spec.cameras}
    rest = bridge_state(NEUTRAL, FINGER_OPEN)
    state = rest if setup.spec.state_dim == len(rest) else np.zeros(setup.spec.state_dim)
    return Observation(0.0, images, state, _INSTRUCTION)


def _check_action_statistics(setup: Setup) -> SelfTest:
    name = "statistics"
    normalizer = setup.normalizer
    columns = len(setup.spec.action_names)
    if normalizer.dim != columns:
        return SelfTest(
            name, f"they are for {normalizer.dim} action columns, {list(setup.spec.action_names)} are used."
        )
    if setup.spec.mode is not ControlMode.EE_DELTA:
        return SelfTest(name, "", f"{columns} columns")
    reach = np.maximum(np.abs(normalizer.low), np.abs(normalizer.high))[: len(_LARGEST_STEP)]
    wild = [
        f"{column} reaches {value:.3g}"
        for column, value, limit in zip(setup.spec.action_names, reach, _LARGEST_STEP, strict=False)
        if value > limit
    ]
    if wild:
        return SelfTest(
            name,
            f"for increments of an end effector (EE_DELTA, metres and radians) {', '.join(wild)}: these look like "
            "poses, joint angles or another robot's units. Choose the right unnorm_key, or control_mode or units in "
            "the deployment file.",
        )
    return SelfTest(name, "", f"{columns} columns, steps up to {reach[:3].max():.3g} m and {reach[3:].max():.3g} rad")


def _check_bidirectionality(network: Any, context: Any, device: torch.device) -> SelfTest:
    """Change the last action token: the prompt's hidden state must, or must not, change, as configured."""
    name = "attention"
    canvas = network.canvas
    blank, _ = canvas.initial(1, None, device)
    span = canvas.span("action")
    changed = blank.clone()
    changed[0, span.stop - 1] = 1 if int(blank[0, span.stop - 1]) != 1 else 0
    before, after = network.prompt_hidden(context, blank), network.prompt_hidden(context, changed)
    moved = float((after - before).abs().max()) / (float(before.abs().max()) + 1e-12)
    sees, wanted = moved > 0.0, network.prompt_sees_canvas
    if sees == wanted:
        return SelfTest(name, "", f"the prompt {'sees' if sees else 'does not see'} the actions, as configured")
    found, rule = ("sees", "must not") if sees else ("does not see", "must")
    return SelfTest(
        name,
        f"the prompt {found} the action tokens, and {rule} by the attention that was configured. The weights would "
        "answer without an error, and wrongly.",
    )


def _check_causality(network: Any, inputs: Any) -> SelfTest:
    change = network.causal_probe(inputs)
    if not np.isfinite(change):
        return SelfTest("attention", "the hidden states hold NaN or infinity; the weights are damaged.")
    if change > 0.0:
        return SelfTest("attention", f"an earlier token sees a later one (by {change:.2g}); the model is causal.")
    return SelfTest("attention", "", "no token sees a later one")


def _check_vocabulary(setup: Setup, network: Any, context: Any, device: torch.device) -> SelfTest:
    name = "vocabulary"
    assert setup.codec is not None
    canvas = network.canvas
    table = network.token_table()[: setup.codec.vocabulary].float()
    if not bool(torch.isfinite(table).all()):
        return SelfTest(name, "the embeddings of the action tokens hold NaN or infinity; the weights are damaged.")
    if float((table - table[:1]).abs().max()) < _TOO_ALIKE:
        return SelfTest(name, "all action tokens have one embedding: they were never trained; is this the base model?")
    tokens, _ = canvas.initial(1, None, device)
    logits = network.logits(context, tokens)
    logits = getattr(logits, "logits", logits)[:, canvas.span("action"), : setup.codec.vocabulary]
    if not bool(torch.isfinite(logits).all()):
        return SelfTest(name, "the network's scores hold NaN or infinity; the weights are damaged or of another model.")
    return SelfTest(name, "", f"{setup.codec.vocabulary} action tokens in {setup.codec.length} positions")
