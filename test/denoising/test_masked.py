"""Masked decoding does what its paper says, in every order and with every kind of re-masking."""

from typing import get_args

import pytest
import torch
from oracles import action_canvas, conditionals_of, peaked_on, random_network, seeded

from dvla_ros.denoising.canvas import FREE, Canvas, Segment, WarmStart
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.masked import MaskedConfig, MaskedDenoiser, Order, Remask
from dvla_ros.errors import ActionError, ConfigurationError
from dvla_ros.policies.base import DenoisingStep

ORDERS = get_args(Order)
REMASKS = get_args(Remask)
CONFIGS = [MaskedConfig(order=order, remask=remask) for order in ORDERS for remask in REMASKS]
CONFIGS += [MaskedConfig.paper(), MaskedConfig.llada(), MaskedConfig(greedy=True)]
CONFIGS += [MaskedConfig(remask="paper", remask_drop=None, remask_top=2)]


def short(config) -> str:
    """The settings that differ from the defaults, as a test id."""
    default = vars(MaskedConfig())
    return ",".join(f"{name}={value}" for name, value in vars(config).items() if value != default[name]) or "default"


def run(network, canvas, config, *, batch_size=1, seed=0, frozen=None, warm_start=None):
    seeds = range(1000 * seed, 1000 * seed + batch_size)
    return denoise(network, canvas, MaskedDenoiser(config), seeds=seeds, frozen_tokens=frozen, warm_start=warm_start)


@pytest.mark.parametrize("num_steps", [1, 4, 12])
@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_a_sure_network_is_recovered_exactly(config, num_steps):
    canvas = action_canvas()
    answer = torch.randint(0, canvas.vocabulary, (3, canvas.length), generator=seeded(1))
    config = MaskedConfig(**{**vars(config), "num_steps": num_steps})

    result = run(peaked_on(answer, canvas.vocabulary), canvas, config, batch_size=3)

    assert torch.equal(result.tokens, answer)
    assert result.nfe == num_steps
    assert not result.filled.any()


@pytest.mark.parametrize("order", ORDERS)
def test_the_mask_counts_of_a_run_are_the_golden_ones(order):
    canvas = action_canvas()
    result = run(random_network(canvas.vocabulary, 0), canvas, MaskedConfig(order=order))

    masked = [int((entry.tokens == canvas.mask_token).sum()) for entry in result.trace]
    assert masked == [55, 54, 51, 48, 44, 39, 34, 28, 21, 14, 7, 0]


def test_lladas_decode_commits_its_even_quota_of_the_surest_for_good():
    """Against LLaDA's loop written out: the arg-max everywhere, the k surest of the masked keep theirs."""
    canvas = action_canvas(5, 7, 32)
    network = random_network(32, 0)
    result = run(network, canvas, MaskedConfig.llada())

    tokens = torch.full((1, 35), canvas.mask_token)
    for entry, quota in zip(result.trace, [4, 4, 4, 4, 4, 3, 3, 3, 3, 3], strict=True):
        best, likeliest = network(tokens).softmax(-1).max(-1)
        surest = best.masked_fill(tokens != canvas.mask_token, -1).topk(quota).indices
        tokens = tokens.scatter(1, surest, likeliest.gather(1, surest))
        assert torch.equal(entry.tokens, tokens)


def test_soft_remasking_keeps_the_mask_counts_of_the_schedule():
    canvas = action_canvas()
    result = run(random_network(canvas.vocabulary, 0), canvas, MaskedConfig.released(soft_remask=True))

    masked = [int((entry.tokens == canvas.mask_token).sum()) for entry in result.trace]
    assert masked == [55, 54, 51, 48, 44, 39, 34, 28, 21, 14, 7, 0]
    assert sum(int(entry.remasked.sum()) for entry in result.trace) > 0


@pytest.mark.parametrize(("frozen_rows", "expected_nfe"), [(0, 12), (2, 9), (4, 6), (7, 1), (8, 0)])
def test_fewer_unknowns_take_proportionally_fewer_steps(frozen_rows, expected_nfe):
    canvas = action_canvas()
    frozen = canvas.freeze_leading("action", torch.zeros(1, frozen_rows, 7, dtype=torch.int64))

    result = run(random_network(canvas.vocabulary, 0), canvas, MaskedConfig(), frozen=frozen)

    assert result.nfe == expected_nfe
    assert (result.tokens != canvas.mask_token).all()


def test_without_adaptive_steps_a_frozen_prefix_takes_them_all():
    canvas = action_canvas()
    frozen = canvas.freeze_leading("action", torch.zeros(1, 4, 7, dtype=torch.int64))
    result = run(random_network(canvas.vocabulary, 0), canvas, MaskedConfig(adaptive_steps=False), frozen=frozen)
    assert result.nfe == 12


def test_decoding_ends_when_no_mask_is_left():
    canvas = action_canvas(1, 3)
    assert run(random_network(canvas.vocabulary, 0), canvas, MaskedConfig(num_steps=12)).nfe == 3


def test_another_seed_gives_another_answer_unless_greedy():
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)

    def differs(config):
        return not torch.equal(run(network, canvas, config, seed=1).tokens, run(network, canvas, config, seed=2).tokens)

    assert differs(MaskedConfig.released())
    assert differs(MaskedConfig.paper())
    assert not differs(MaskedConfig(greedy=True))


def misled_at_first(tokens):
    """Sure of the wrong token 3 at position 0 while the canvas is empty, sure of 1 once it sees anything else."""
    others = (tokens[:, 1:] != 4).any(dim=1)
    logits = torch.tensor([0.0, 2.0, 0.0, 0.0]).repeat(*tokens.shape, 1)
    logits[:, 0] = torch.where(others.unsqueeze(1), torch.tensor([0, 8.0, 0, 0]), torch.tensor([0, 0, 0, 8.0]))
    return logits


@pytest.mark.parametrize("num_steps", [6, 8])
@pytest.mark.parametrize(
    ("remask", "expected"),
    [
        ({"remask": "none"}, 3),
        ({"remask": "released"}, 1),
        ({"remask": "paper", "remask_below": 0.0}, 1),
        ({"remask": "paper", "remask_drop": 1.0}, 1),
        ({"remask": "paper", "remask_below": 0.0, "remask_drop": None, "remask_top": 1}, 1),
        ({"remask": "paper", "remask_below": 0.0, "remask_drop": 1.0}, 3),
        ({"remask": "paper", "max_remasks": 0}, 3),
    ],
    ids=str,
)
def test_remasking_corrects_an_early_mistake(num_steps, remask, expected):
    canvas = action_canvas(1, 8, 4)
    result = run(misled_at_first, canvas, MaskedConfig(num_steps=num_steps, greedy=True, **remask))

    assert result.trace[0].committed[0].tolist() == [True] + [False] * 7
    assert result.trace[0].tokens[0, 0] == 3
    assert result.tokens[0].tolist() == [expected] + [1] * 7


def test_paper_remasking_is_bounded_per_position():
    """A network that never believes what it sees held would otherwise re-mask until the end."""
    canvas = action_canvas()

    def contrary(tokens):
        rows = torch.nn.functional.one_hot(tokens, canvas.vocabulary + 1)[..., :-1].float()
        return -40 * rows

    result = run(contrary, canvas, MaskedConfig(remask="paper", max_remasks=2))

    times = sum(entry.remasked.int() for entry in result.trace)
    assert times.max() == 2
    assert not result.trace[-1].remasked.any()


def constant(probabilities: list[list[float]], batch_size: int = 1):
    """A network that answers `[L, V]` probabilities whatever it sees."""
    logits = torch.tensor(probabilities).log().expand(batch_size, -1, -1)
    return lambda tokens: logits


def test_soft_remasking_discounts_what_is_held_by_the_progress():
    network = constant([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    config = MaskedConfig(num_steps=4, greedy=True, remask="released")

    trace = run(network, action_canvas(1, 4, 2), config).trace

    assert trace[0].committed[0].tolist() == [True, False, False, False]
    assert trace[1].remasked[0].tolist() == [True, False, False, False]  # 0.9 * (1 - 1/2) is the lowest score
    assert trace[1].committed[0].tolist() == [False, True, True, False]


def test_the_absolute_threshold_rises_with_the_progress():
    """All are held at 0.2, which falls below 0.3 r after two thirds of the steps; the last step re-masks nothing."""
    config = MaskedConfig(num_steps=8, greedy=True, remask="paper", remask_below=0.3, remask_drop=1.0)
    result = run(constant([[0.2] * 5] * 8), action_canvas(1, 8, 5), config)
    assert [index for index, entry in enumerate(result.trace) if entry.remasked.any()] == [5, 6]


def test_noise_in_the_ranking_fades_with_the_progress():
    """After half the steps it is log c + G / 2, so that the first of two is chosen with c0^2 / (c0^2 + c1^2)."""
    network = constant([[0.6, 0.3, 0.1], [0.4, 0.3, 0.3]], batch_size=4000)
    config = MaskedConfig(num_steps=2, value_temperature=0.0, choice_temperature=1.0)
    entry = run(network, action_canvas(1, 2, 3), config, batch_size=4000).trace[0]
    assert abs(entry.committed[:, 0].float().mean() - 0.36 / 0.52) < 0.03


def test_the_papers_value_temperature_fades_with_the_mask_ratio():
    network = constant([[0.95, 0.05]] * 12, batch_size=2000)
    config = MaskedConfig(order="random", values="perturbed", value_temperature=10.0)
    trace = run(network, action_canvas(1, 12, 2), config, batch_size=2000).trace

    likeliest = [(entry.tokens[entry.committed] == 0).float().mean() for entry in (trace[0], trace[-1])]

    assert likeliest[0] < 0.65
    assert likeliest[1] > 0.8


JOINTS = torch.tensor([[0, 0, 0], [1, 1, 2], [2, 3, 1], [3, 0, 3]])
WEIGHTS = torch.tensor([0.4, 0.3, 0.2, 0.1])


def drawn_joints(config, samples=4000):
    """Which joint each of the samples is, bool `[samples, 4]`; a row without a True is none of them."""
    result = run(conditionals_of(JOINTS, WEIGHTS, 4), action_canvas(1, 3, 4), config, batch_size=samples)
    return (result.tokens.unsqueeze(1) == JOINTS).all(dim=-1)


ITERATIVE = [MaskedConfig(num_steps=3, order=order) for order in ORDERS] + [MaskedConfig.paper(num_steps=3)]
EXACT_VALUES = [{"values": "categorical"}, {"values": "perturbed", "value_temperature": 0.0}]


@pytest.mark.parametrize("config", ITERATIVE, ids=short)
def test_iterative_decoding_draws_only_valid_joints(config):
    drawn = drawn_joints(config)
    assert drawn.any(dim=1).all()
    assert drawn.any(dim=0).all(), "every joint should be drawn by some sample"


def test_one_parallel_step_mixes_the_joints():
    assert drawn_joints(MaskedConfig(num_steps=1)).any(dim=1).float().mean() < 0.5


@pytest.mark.parametrize("values", EXACT_VALUES, ids=str)
def test_in_random_order_the_joints_have_their_true_probabilities(values):
    share = drawn_joints(MaskedConfig(num_steps=3, order="random", **values)).float().mean(dim=0)
    assert (share - WEIGHTS).abs().max() < 0.03


def test_confidence_order_commits_the_surest_and_entropy_the_most_peaked():
    """Position 0 has the higher maximum, 1 the larger lead, 2 the lower entropy."""
    probabilities = torch.tensor(
        [
            [0.50, 0.45, 0.0125, 0.0125, 0.0125, 0.0125],
            [0.48, 0.104, 0.104, 0.104, 0.104, 0.104],
            [0.47, 0.47, 0.06, 0, 0, 0],
        ]
    )
    first = {}
    for order in ("confidence", "margin", "entropy"):
        config = MaskedConfig(num_steps=3, order=order, greedy=True)
        entry = run(lambda tokens: probabilities.log().unsqueeze(0), action_canvas(1, 3, 6), config).trace[0]
        first[order] = entry.committed[0].nonzero().flatten().tolist()
    assert first == {"confidence": [0], "margin": [1], "entropy": [2]}


def test_a_trace_entry_becomes_the_policys_denoising_step():
    canvas = action_canvas()
    result = run(random_network(canvas.vocabulary, 0), canvas, MaskedConfig(), batch_size=2)

    step = DenoisingStep(**result.trace[3].arrays(1))

    assert step.tokens.tolist() == result.trace[3].tokens[1].tolist()
    assert [str(a.dtype) for a in vars(step).values()] == ["int32", "float32", "bool", "bool", "bool"]
    assert step.committed.sum() == 3


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"order": "best"}, "order must be one of .*'best'"),
        ({"values": "x"}, "values must be"),
        ({"remask": "soft"}, "remask must be"),
        ({"schedule": "cos"}, "schedule 'cos'"),
        ({"value_temperature": -1.0}, "value_temperature"),
        ({"choice_temperature": -1.0}, "choice_temperature"),
        ({"max_remasks": -1}, "max_remasks"),
        ({"remask_below": 1.5}, "remask_below"),
        ({"remask_drop": 2.0}, "remask_drop"),
        ({"remask_drop": None}, "either remask_drop or remask_top"),
        ({"remask_top": 2}, "either remask_drop or remask_top"),
        ({"remask_drop": None, "remask_top": 0}, "remask_top"),
        ({"warm_keep": 1.5}, "warm_keep must be in 0..1, got 1.5"),
    ],
)
def test_wrong_settings_are_named(settings_, message):
    with pytest.raises(ConfigurationError, match=message):
        MaskedConfig(**settings_)


def test_a_canvas_without_anything_to_decide_needs_no_network():
    canvas = Canvas((Segment("action", 1, 2, 4, prefilled=(1, 2)),))
    result = run(random_network(4, 0), canvas, MaskedConfig())
    assert result.nfe == 0
    assert result.tokens.tolist() == [[1, 2]]


def warm_guess(canvas, tokens, confidence):
    shape = (1, canvas.length)
    return WarmStart(torch.tensor(tokens).reshape(shape), torch.tensor(confidence).reshape(shape))


def first_input(network):
    """The same network, and a list that its inputs are written to."""
    seen = []

    def watched(tokens):
        seen.append(tokens.clone())
        return network(tokens)

    return watched, seen


@pytest.mark.parametrize(
    ("keep", "expected"),
    [(0.0, [4] * 6), (0.5, [4, 1, 4, 3, 4, 4]), (0.75, [0, 1, 4, 3, 4, 4]), (1.0, [0, 1, 2, 3, 4, 4])],
)
def test_the_most_confident_guesses_of_a_warm_start_are_kept(keep, expected):
    canvas = action_canvas(1, 6, 4)
    guess = warm_guess(canvas, [0, 1, 2, 3, FREE, FREE], [0.5, 0.9, 0.1, 0.7, 1.0, 1.0])
    network, seen = first_input(random_network(4, 0))

    run(network, canvas, MaskedConfig(warm_keep=keep), warm_start=guess)

    assert seen[0].tolist() == [expected]


@pytest.mark.parametrize(("keep", "expected_nfe"), [(0.0, 12), (0.5, 6), (0.75, 3), (1.0, 0)])
def test_a_warm_start_takes_proportionally_fewer_steps(keep, expected_nfe):
    canvas = action_canvas()
    guess = WarmStart(torch.ones(1, 56, dtype=torch.int64), torch.rand(1, 56, generator=seeded()))
    result = run(random_network(16, 0), canvas, MaskedConfig(warm_keep=keep), warm_start=guess)
    assert result.nfe == expected_nfe
    assert (result.tokens < canvas.mask_token).all()


def test_a_guess_is_not_frozen_and_a_doubtful_one_is_masked_again():
    """The network is sure of 1 everywhere; the guess 3 at position 0 is improbable and far below its reference."""
    canvas = action_canvas(1, 8, 4)
    answer = torch.ones(1, 8, dtype=torch.int64)
    guess = warm_guess(canvas, [3] + [FREE] * 7, [0.9] + [0.0] * 7)

    def final_tokens(**changes):
        config = MaskedConfig(num_steps=4, warm_keep=1.0, greedy=True, **changes)
        return run(peaked_on(answer, 4), canvas, config, warm_start=guess)

    kept, drop = final_tokens(), final_tokens(remask="paper", remask_below=0.0)
    assert kept.tokens.tolist() == [[3] + [1] * 7]
    assert kept.confidence[0, 0] == pytest.approx(0.9)
    assert drop.tokens.tolist() == [[1] * 8]
    assert drop.trace[0].remasked[0].tolist() == [True] + [False] * 7
    assert not drop.trace[0].frozen.any()


def test_given_tokens_win_over_guessed_ones():
    canvas = action_canvas(1, 3, 4)
    guess = warm_guess(canvas, [3, 3, 3], [1.0, 1.0, 1.0])
    result = run(
        random_network(4, 0),
        canvas,
        MaskedConfig(warm_keep=1.0),
        frozen=torch.tensor([[2, FREE, FREE]]),
        warm_start=guess,
    )
    assert result.tokens.tolist() == [[2, 3, 3]]


@pytest.mark.parametrize(
    ("tokens", "confidence", "message"),
    [
        (torch.zeros(1, 2, dtype=torch.int64), torch.zeros(1, 2), r"must have shape \[1, 3\], got \[1, 2\]"),
        (torch.full((1, 3), 4), torch.zeros(1, 3), r"0\.\.3"),
        (torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 2), r"confidences of shape \[1, 3\], got \[1, 2\]"),
        (torch.zeros(1, 3, dtype=torch.int64), torch.full((1, 3), 1.5), r"in 0\.\.1"),
        (torch.zeros(1, 3, dtype=torch.int64), torch.full((1, 3), torch.nan), "NaN"),
    ],
)
def test_malformed_guesses_are_refused(tokens, confidence, message):
    with pytest.raises(ActionError, match=message):
        run(random_network(4, 0), action_canvas(1, 3, 4), MaskedConfig(), warm_start=WarmStart(tokens, confidence))
