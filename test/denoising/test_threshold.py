"""Acceptance decoding commits what is sure enough, and always enough to end in time."""

import pytest
import torch
from diffusers.schedulers.scheduling_block_refinement import BlockRefinementScheduler
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import action_canvas, random_network

from dvla_ros.denoising.canvas import FREE
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.threshold import ThresholdConfig, ThresholdDenoiser
from dvla_ros.errors import ConfigurationError


def run(network, canvas, config, *, batch_size=1, frozen=None):
    return denoise(network, canvas, ThresholdDenoiser(config), seeds=range(batch_size), frozen_tokens=frozen)


def constant(probabilities):
    """A network that answers `[L, V]` probabilities whatever it sees."""
    logits = torch.tensor(probabilities).log().unsqueeze(0)
    return lambda tokens: logits


def with_confidences(*confidences):
    """A network whose arg-max at each position is token 0 with the given probability, of three."""
    return constant([[c, (1 - c) / 2, (1 - c) / 2] for c in confidences])


def committed_at_first(network, length, **changes):
    entry = run(network, action_canvas(1, length, 3), ThresholdConfig(**changes)).trace[0]
    return [i for i in range(length) if entry.committed[0, i]]


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 20),
    num_steps=st.integers(1, 24),
    threshold=st.floats(0.05, 0.99),
    seed=st.integers(0, 10_000),
)
def test_commits_equal_those_of_diffusers_block_refinement(length, num_steps, threshold, seed):
    canvas = action_canvas(1, length, 6)
    network = random_network(6, seed)
    reference = BlockRefinementScheduler(block_length=length, num_inference_steps=num_steps, threshold=threshold)
    reference.set_timesteps(num_steps, block_length=length)

    result = run(network, canvas, ThresholdConfig(num_steps=num_steps, threshold=threshold), batch_size=2)

    tokens = torch.full((2, length), canvas.mask_token)
    for index, entry in enumerate(result.trace):
        assume(no_two_alike(network(tokens)))  # which of equals comes first is not laid down
        expected = reference.step(network(tokens), index, tokens, mask_token_id=canvas.mask_token, temperature=0.0)
        assert torch.equal(entry.committed, expected.transfer_index & (tokens == canvas.mask_token))
        assert torch.equal(entry.tokens, expected.prev_sample)
        tokens = expected.prev_sample
    assert (tokens != canvas.mask_token).all()


def no_two_alike(logits):
    confidence = torch.softmax(logits, dim=-1).amax(dim=-1).sort(dim=-1).values
    return bool((confidence.diff(dim=-1) > 1e-6).all())


def test_all_above_the_threshold_are_committed_together():
    network = with_confidences(0.5, 0.95, 0.8, 0.91)
    assert committed_at_first(network, 4, threshold=0.9, at_least="one") == [1, 3]


@pytest.mark.parametrize(("at_least", "expected"), [("one", [1]), ("quota", [1, 2])])
def test_the_surest_are_committed_where_none_is_sure_enough(at_least, expected):
    network = with_confidences(0.4, 0.6, 0.55, 0.5)
    assert committed_at_first(network, 4, num_steps=2, threshold=0.9, at_least=at_least) == expected


@pytest.mark.parametrize(
    ("factor", "expected"), [(0.05, [0]), (0.21, [0]), (0.35, [0, 1]), (0.85, [0, 1, 2]), (9.0, [0, 1, 2, 3])]
)
def test_the_factor_rule_takes_the_largest_prefix(factor, expected):
    """(n + 1)(1 - c_(n)) is 0.2, 0.3, 0.8, 2.5 for n = 1..4."""
    network = with_confidences(0.9, 0.9, 0.8, 0.5)
    assert committed_at_first(network, 4, accept="factor", factor=factor, at_least="one") == expected


@pytest.mark.parametrize(
    ("bound", "expected"),
    [(0.0, [2]), (0.3, [2]), (0.33, [0, 2]), (0.9, [0, 2]), (1.0, [0, 2, 3]), (2.0, [0, 1, 2, 3])],
)
def test_the_entropy_bound_limits_the_sum_over_the_surer_ones(bound, expected):
    """Entropies 0.639 (0), 1.099 (1), 0.325 (2), 0.898 (3): sums before each, in order, 0, 0.325, 0.964, 1.862."""
    rows = [[0.8, 0.1, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.9, 0.1, 0.0], [0.6, 0.3, 0.1]]
    assert (
        committed_at_first(constant(rows), 4, accept="entropy_bound", entropy_bound=bound, at_least="one") == expected
    )


def test_the_entropy_bound_leaves_frozen_positions_out_of_its_sum():
    rows = [[1 / 3, 1 / 3, 1 / 3], [0.8, 0.1, 0.1], [0.9, 0.1, 0.0]]
    config = ThresholdConfig(accept="entropy_bound", entropy_bound=0.33, at_least="one")
    result = run(constant(rows), action_canvas(1, 3, 3), config, frozen=torch.tensor([[2, FREE, FREE]]))
    assert result.nfe == 1


@pytest.mark.parametrize("at_least", ["one", "quota"])
@pytest.mark.parametrize("accept", ["threshold", "factor", "entropy_bound"])
def test_the_budget_is_kept_by_a_network_that_is_never_sure(accept, at_least):
    canvas = action_canvas(1, 10, 4)
    never = ThresholdConfig(num_steps=4, accept=accept, at_least=at_least, threshold=1.0, factor=0.0, entropy_bound=0.0)

    result = run(random_network(4, 0), canvas, never)

    committed = [int(entry.committed.sum()) for entry in result.trace]
    assert committed == ([1, 1, 1, 7] if at_least == "one" else [3, 3, 2, 2])
    assert not result.filled.any()


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"accept": "x"}, "accept must be one of .*'x'"),
        ({"at_least": "two"}, "at_least must be one of .*'two'"),
        ({"threshold": 1.5}, "threshold must be in 0..1, got 1.5"),
        ({"factor": -1.0}, "factor must be at least 0"),
        ({"entropy_bound": -0.1}, "entropy_bound must be at least 0"),
        ({"value_temperature": -1.0}, "value_temperature"),
        ({"warm_keep": -0.1}, "warm_keep"),
    ],
)
def test_wrong_settings_are_named(settings_, message):
    with pytest.raises(ConfigurationError, match=message):
        ThresholdConfig(**settings_)
