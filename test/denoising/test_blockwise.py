"""Block-wise decoding goes from the first action to the last and begins each in time."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import action_canvas, random_network

from dvla_ros.denoising.blockwise import BlockwiseConfig, BlockwiseDenoiser
from dvla_ros.denoising.canvas import FREE, Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.errors import ConfigurationError

UNSURE = {"threshold": 1.0}


def run(network, canvas, frozen=None, rows=1, **changes):
    return denoise(
        network, canvas, BlockwiseDenoiser(BlockwiseConfig(**changes)), seeds=range(rows), frozen_tokens=frozen
    )


def committed(result, blocks):
    """Tokens that each step committed in each of so many blocks of equal length."""
    return [step.committed[0].reshape(blocks, -1).sum(dim=-1).tolist() for step in result.trace]


def confidences(*values):
    """A network whose arg-max is token 0 with these probabilities, of three."""
    p = torch.tensor(values).unsqueeze(-1)
    logits = torch.cat([p, (1 - p) / 2, (1 - p) / 2], dim=-1).log().unsqueeze(0)
    return lambda tokens: logits


def test_an_action_begins_when_four_of_seven_tokens_of_the_one_before_are_decided():
    """An action takes 4, 2 and 1 tokens: at least half of what is masked."""
    result = run(random_network(16, 0), action_canvas(3, 7, 16), **UNSURE)
    assert committed(result, 3) == [[4, 0, 0], [2, 4, 0], [1, 2, 4], [0, 1, 2], [0, 0, 1]]


def test_with_thresholds_of_one_actions_come_one_after_the_other():
    result = run(random_network(16, 0), action_canvas(2, 7, 16), **UNSURE, add_at=1.0, activate_at=1.0)
    assert committed(result, 2) == [[4, 0], [2, 0], [1, 0], [0, 4], [0, 2], [0, 1]]


def test_two_actions_may_be_one_block():
    result = run(random_network(16, 0), action_canvas(4, 7, 16), **UNSURE, block_actions=2)
    assert committed(result, 2) == [[7, 0], [4, 0], [2, 7], [1, 4], [0, 2], [0, 1]]


def test_the_surest_tokens_of_a_block_come_first():
    result = run(confidences(0.4, 0.44, 0.42, 0.49), action_canvas(2, 2, 3), least_share=0.5, activate_at=1.0)
    assert [step.committed[0].nonzero().flatten().tolist() for step in result.trace] == [[1], [0], [3], [2]]


def test_a_sure_token_waits_until_its_block_is_added():
    """The second block is added after one of four tokens, but not active before all four."""
    network = confidences(0.45, 0.4, 0.4, 0.4, 0.99, 0.4, 0.4, 0.4)
    result = run(network, action_canvas(2, 4, 3), least_share=0.25, add_at=0.25, activate_at=1.0)
    assert committed(result, 2)[:4] == [[1, 0], [1, 1], [1, 0], [1, 0]]


def test_a_block_behind_one_that_is_not_added_is_not_added():
    """Given tokens count as decided, but the block before has to be added as well."""
    frozen = torch.tensor([[FREE] * 4 + [1] * 3 + [FREE] + [FREE] * 4])
    network = confidences(*[0.4] * 8, *[0.99] * 4)
    result = run(network, action_canvas(3, 4, 3), frozen, least_share=0.25, add_at=0.5, activate_at=1.0)
    assert [sum(step[2:]) for step in committed(result, 3)] == [0, 0, 4, 0, 0]


def test_a_sure_network_needs_one_step_for_each_block_at_most():
    assert run(confidences(*[0.9] * 56), action_canvas(8, 7, 3)).nfe == 8


@settings(max_examples=40, deadline=None)
@given(
    steps=st.integers(1, 6),
    dims=st.integers(1, 5),
    block=st.integers(1, 3),
    add_at=st.floats(0, 1),
    activate_at=st.floats(0, 1),
    least_share=st.floats(0.05, 1),
    seed=st.integers(0, 999),
)
def test_the_steps_of_an_unsure_network_are_the_most_there_are(
    steps, dims, block, add_at, activate_at, least_share, seed
):
    canvas, network = action_canvas(steps, dims, 6), random_network(6, seed)
    shared = {"block_actions": block, "add_at": add_at, "activate_at": activate_at, "least_share": least_share}
    frozen = torch.where(torch.rand(2, canvas.length, generator=torch.Generator().manual_seed(seed)) < 0.3, 1, FREE)

    unsure, sure = (run(network, canvas, frozen, 2, **shared, threshold=t) for t in (1.0, 0.4))

    assert sure.nfe <= unsure.nfe
    assert not unsure.filled.any() and not sure.filled.any()


def test_segments_of_one_row_have_blocks_of_their_own():
    segments = (Segment("image", 1, 70, 9), Segment("action", 3, 7, 9), Segment("words", 1, 20, 9))
    config = BlockwiseConfig(block_actions=2)
    assert [config.block_lengths(segment) for segment in segments] == [[32, 32, 6], [14, 7], [20]]

    result = run(random_network(9, 0), Canvas(segments), **UNSURE)

    first = [next(i for i, step in enumerate(result.trace) if step.committed[0, at]) for at in (0, 110)]
    assert first[0] < first[1]


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"block_actions": 0}, "block_actions must be at least 1, got 0"),
        ({"block_tokens": 0}, "block_tokens must be at least 1"),
        ({"add_at": 1.5}, "add_at must be in 0..1, got 1.5"),
        ({"activate_at": -0.1}, "activate_at must be in 0..1"),
        ({"threshold": 2.0}, "threshold must be in 0..1"),
        ({"least_share": 0.0}, "least_share must be above 0 and at most 1, got 0.0"),
        ({"value_temperature": -1.0}, "value_temperature"),
        ({"warm_keep": -0.1}, "warm_keep"),
    ],
)
def test_wrong_settings_are_named(settings_, message):
    with pytest.raises(ConfigurationError, match=message):
        BlockwiseConfig(**settings_)
