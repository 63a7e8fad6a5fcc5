"""Flow matching takes the steps it needs: fewer where part of the canvas is given, later ones after a warm start."""

import pytest
import torch
from oracles import action_canvas, peaked_on, random_network, seeded

from dvla_ros.denoising.canvas import FREE, Canvas, Segment, WarmStart
from dvla_ros.denoising.flow import FlowConfig, FlowDenoiser
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.noise import Noise
from dvla_ros.errors import ActionError


def started(config, canvas, *, frozen=None, warm=None, seeds=(0,)):
    return FlowDenoiser(config).start(
        canvas, noise=Noise(seeds), frozen_tokens=frozen, warm_start=warm, device=torch.device("cpu")
    )


def decode(network, canvas, config, warm=None):
    return denoise(network, canvas, FlowDenoiser(config), seeds=(0,), warm_start=warm)


@pytest.mark.parametrize(
    ("frozen_rows", "expected_times", "expected_validating"),
    [
        (0, [k / 16 for k in range(16)], 2),
        (2, [k / 12 for k in range(12)], 2),
        (4, [k / 8 for k in range(8)], 1),
        (7, [0, 1 / 2], 1),
        (8, [], 0),
    ],
)
def test_fewer_unknowns_take_proportionally_fewer_steps(frozen_rows, expected_times, expected_validating):
    canvas = action_canvas()
    frozen = canvas.freeze_leading("action", torch.zeros(1, frozen_rows, 7, dtype=torch.int64))
    state = started(FlowConfig(), canvas, frozen=frozen)

    assert state.num_steps == len(expected_times)
    assert state.plan.time.flatten().tolist() == pytest.approx(expected_times)
    assert int(state.plan.validates.sum()) == expected_validating
    if expected_times:
        assert float(state.plan.width) == pytest.approx(1 / len(expected_times))


def test_without_adaptive_steps_a_frozen_prefix_takes_them_all():
    canvas = action_canvas()
    frozen = canvas.freeze_leading("action", torch.zeros(1, 4, 7, dtype=torch.int64))
    assert started(FlowConfig(adaptive_steps=False), canvas, frozen=frozen).num_steps == 16


def test_nothing_unknown_needs_no_network():
    canvas = Canvas((Segment("action", 1, 2, 4, prefilled=(1, 2)),))
    result = decode(random_network(4, 0), canvas, FlowConfig())
    assert result.nfe == 0
    assert result.tokens.tolist() == [[1, 2]]


def test_a_warm_start_begins_at_its_time_with_the_guess():
    canvas = action_canvas()
    guess = torch.full((2, canvas.length), FREE)
    guess[0, :35] = 3
    frozen = torch.full((2, canvas.length), FREE)
    frozen[:, 0] = 1
    config = FlowConfig(warm_start_time=0.6, adaptive_steps=False)

    state = started(config, canvas, frozen=frozen, warm=WarmStart(guess, torch.ones(2, canvas.length)), seeds=(1, 2))
    cold = started(config, canvas, frozen=frozen, seeds=(1, 2))

    assert state.tokens[0, :35].tolist() == [1] + [3] * 34
    assert torch.equal(state.tokens[0, 35:], cold.tokens[0, 35:])
    assert torch.equal(state.tokens[1], cold.tokens[1])
    assert state.num_steps == 16
    assert state.plan.time[:7, 0, 0].tolist() == pytest.approx([k / 16 for k in range(10, 16)] + [15 / 16])
    assert state.plan.is_last[:, 0, 0].tolist() == [False] * 5 + [True] * 11
    assert state.plan.time[:, 1, 0].tolist() == pytest.approx([k / 16 for k in range(16)])


def test_a_guess_at_frozen_positions_alone_is_no_warm_start():
    canvas = action_canvas()
    frozen = canvas.freeze_leading("action", torch.ones(1, 2, 7, dtype=torch.int64))
    guess = WarmStart(torch.where(frozen == FREE, FREE, 3), torch.ones(1, canvas.length))

    state = started(FlowConfig(), canvas, frozen=frozen, warm=guess)

    assert state.tokens[0, :14].tolist() == [1] * 14
    assert float(state.plan.time[0, 0, 0]) == 0


def test_a_warm_started_chunk_takes_fewer_steps_and_may_change_the_guess():
    canvas = action_canvas()
    answer = torch.randint(0, canvas.vocabulary, (1, canvas.length), generator=seeded(1))
    guess = WarmStart(torch.zeros(1, canvas.length, dtype=torch.int64), torch.ones(1, canvas.length))
    config = FlowConfig(fine_steps=8, validate_steps=0, warm_start_time=0.5)

    result = decode(peaked_on(answer, canvas.vocabulary), canvas, config, warm=guess)

    assert result.nfe == 4
    assert torch.equal(result.tokens, answer)


def test_a_late_warm_start_still_validates():
    guess = WarmStart(torch.zeros(1, 56, dtype=torch.int64), torch.ones(1, 56))
    state = started(FlowConfig(warm_start_time=0.99), action_canvas(), warm=guess)
    assert state.plan.validates.flatten().tolist() == [True, True]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [(torch.full((1, 9), 6), "-1 where free; got 6..6"), (torch.zeros(1, 3, dtype=torch.int64), r"got \[1, 3\]")],
)
def test_a_malformed_guess_is_refused(tokens, message):
    with pytest.raises(ActionError, match=message):
        started(FlowConfig(), action_canvas(3, 3, 6), warm=WarmStart(tokens, torch.ones(tokens.shape)))
