"""Fixed-point iteration ends where the network agrees with what it sees."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import action_canvas, random_network, seeded

from dvla_ros.denoising.canvas import FREE, Canvas, Segment, WarmStart
from dvla_ros.denoising.jacobi import JacobiConfig, JacobiDenoiser
from dvla_ros.denoising.loop import denoise
from dvla_ros.errors import ConfigurationError


def causal_network(vocabulary, seed):
    """Logits at a position depend on the tokens before it, all of them."""
    draw = seeded(seed)
    answers = 2 * torch.randn(997, vocabulary, generator=draw)
    weights = torch.randint(1, 997, (64,), generator=draw)

    def logits(tokens):
        weight = weights[: tokens.shape[1]]
        terms = (tokens + 1) * weight
        return answers[(terms.cumsum(dim=-1) - terms + weight**2) % 997]

    return logits


def run(network, canvas, *, seeds=(0,), frozen=None, warm_start=None, finish_early=True, **changes):
    return denoise(
        network,
        canvas,
        JacobiDenoiser(JacobiConfig(**changes)),
        seeds=seeds,
        frozen_tokens=frozen,
        warm_start=warm_start,
        finish_early=finish_early,
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.sampled_from(["random", "mask"]), st.integers(0, 10_000))
def test_with_a_causal_network_it_ends_at_the_autoregressive_answer(length, guess, seed):
    network = causal_network(6, seed)
    expected = torch.zeros(1, length, dtype=torch.int64)
    for position in range(length):
        expected[0, position] = network(expected)[0, position].argmax()

    result = run(network, action_canvas(1, length, 6), seeds=(seed,), guess=guess, num_steps=length + 1)

    assert torch.equal(result.tokens, expected)
    assert result.nfe <= length + 1


def test_the_answer_is_a_fixed_point_and_one_more_call_confirms_it():
    canvas = action_canvas(1, 8, 6)
    network = causal_network(6, 0)
    result = run(network, canvas)

    assert torch.equal(network(result.tokens).argmax(-1), result.tokens)
    assert not result.trace[-1].committed.any()
    assert all(entry.committed.any() for entry in result.trace[:-1])
    assert torch.equal(run(network, canvas, finish_early=False).tokens, result.tokens)


def test_a_right_guess_takes_one_step():
    canvas = action_canvas(1, 8, 6)
    network = causal_network(6, 0)
    answer = run(network, canvas).tokens

    result = run(network, canvas, warm_start=WarmStart(answer, torch.ones(1, 8)))

    assert result.nfe == 1
    assert torch.equal(result.tokens, answer)


def test_a_warm_start_is_what_the_network_sees_first():
    seen = []

    def network(tokens):
        seen.append(tokens.clone())
        return causal_network(6, 0)(tokens)

    guess = WarmStart(torch.tensor([[5, 4, FREE, 2]]), torch.tensor([[0.2, 0.9, 0.0, 0.4]]))
    run(network, action_canvas(1, 4, 6), warm_start=guess, guess="mask", frozen=torch.tensor([[1, FREE, FREE, FREE]]))
    assert seen[0].tolist() == [[1, 4, 6, 2]]


def test_rows_settle_one_by_one_and_stay_settled():
    """The first row is right at once; the second needs its steps."""
    canvas = action_canvas(1, 8, 6)
    network = causal_network(6, 0)
    right = run(network, canvas).tokens
    wrong = (right + 1) % 6
    denoiser = JacobiDenoiser(JacobiConfig())
    answers = []

    def watched(tokens):
        answers.append(tokens.clone())
        return network(tokens)

    both = WarmStart(torch.cat([right, wrong]), torch.zeros(2, 8))
    result = denoise(watched, canvas, denoiser, seeds=(0, 1), warm_start=both)

    assert result.nfe > 1
    assert all(torch.equal(tokens[:1], right) for tokens in answers)
    assert torch.equal(result.tokens, right.expand(2, -1))


def test_a_settled_row_stays_even_if_the_network_would_change_its_mind():
    """Rounding may differ between calls; here the network wants 0 twice, and 1 from the third call on."""
    calls = []

    def fickle(tokens):
        calls.append(tokens.clone())
        wanted = torch.tensor([[0], [len(calls) % 3]]) if len(calls) < 3 else torch.tensor([[1], [2]])
        return torch.nn.functional.one_hot(wanted.expand(2, 4), 3).float()

    result = run(fickle, action_canvas(1, 4, 3), seeds=(0, 1), guess="mask", num_steps=4)

    assert result.nfe == 3
    assert result.tokens.tolist() == [[0] * 4, [2] * 4]


def test_a_network_that_never_agrees_is_stopped_by_the_budget():
    canvas = action_canvas(1, 4, 3)

    def contrary(tokens):
        return torch.nn.functional.one_hot((tokens + 1) % 3, 3).float()

    result = run(contrary, canvas, num_steps=5)

    assert result.nfe == 5
    assert (result.tokens < 3).all()
    assert not result.filled.any()


def test_a_sample_settles_because_its_noise_is_fixed():
    canvas = action_canvas(1, 8, 6)
    network = causal_network(6, 1)
    answers = run(network, canvas, seeds=range(20), value_temperature=1.0)

    assert answers.nfe <= 9
    assert not answers.trace[-1].committed.any()
    assert len({tuple(row) for row in answers.tokens.tolist()}) > 15


def test_samples_of_a_causal_network_have_its_probabilities():
    logits = torch.tensor([[0.6, 0.3, 0.1]]).log()
    tokens = run(
        lambda tokens: logits.expand(4000, 1, 3), action_canvas(1, 1, 3), seeds=range(4000), value_temperature=1.0
    )
    share = torch.bincount(tokens.tokens.flatten(), minlength=3) / 4000
    assert torch.allclose(share, torch.tensor([0.6, 0.3, 0.1]), atol=0.03)


def test_the_random_guess_is_uniform_over_each_positions_own_vocabulary():
    seen = []

    def network(tokens):
        seen.append(tokens.clone())
        return random_network(5, 0)(tokens)

    run(network, Canvas((Segment("image", 1, 2, 5), Segment("action", 1, 2, 3))), seeds=range(5000), num_steps=1)

    for part, vocabulary in ((seen[0][:, :2], 5), (seen[0][:, 2:], 3)):
        share = torch.bincount(part.flatten(), minlength=5) / 10_000
        assert torch.allclose(share[:vocabulary], torch.full((vocabulary,), 1 / vocabulary), atol=0.02)


@pytest.mark.parametrize("settings_", [{"num_steps": 0}, {"guess": "best"}, {"value_temperature": -1.0}])
def test_wrong_settings_are_named(settings_):
    with pytest.raises(ConfigurationError, match=next(iter(settings_))):
        JacobiConfig(**settings_)
