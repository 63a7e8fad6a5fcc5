"""Masked decoding does what its paper says, in every order and with every kind of re-masking."""

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import action_canvas, conditionals_of, peaked_on, random_network, seeded
from torch.utils._python_dispatch import TorchDispatchMode

from dvla_ros.denoising.canvas import FREE, Canvas, Segment
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.masked import MaskedConfig, MaskedDenoiser, Order, Remask
from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.base import DenoisingStep

ORDERS = get_args(Order)
REMASKS = get_args(Remask)
CONFIGS = [MaskedConfig(order=order, remask=remask) for order in ORDERS for remask in REMASKS]
CONFIGS += [MaskedConfig.paper(), MaskedConfig.one_shot(), MaskedConfig(greedy=True)]
CONFIGS += [MaskedConfig(remask="paper", remask_drop=None, remask_top=2)]


def short(config) -> str:
    """The settings that differ from the defaults, as a test id."""
    default = vars(MaskedConfig())
    return ",".join(f"{name}={value}" for name, value in vars(config).items() if value != default[name]) or "default"


def run(network, canvas, config, *, batch_size=1, seed=0, frozen=None):
    return denoise(
        network, canvas, MaskedDenoiser(config), batch_size=batch_size, generator=seeded(seed), frozen_tokens=frozen
    )


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


def test_soft_remasking_keeps_the_mask_counts_of_the_schedule():
    canvas = action_canvas()
    result = run(random_network(canvas.vocabulary, 0), canvas, MaskedConfig.released(soft_remask=True))

    masked = [int((entry.tokens == canvas.mask_token).sum()) for entry in result.trace]
    assert masked == [55, 54, 51, 48, 44, 39, 34, 28, 21, 14, 7, 0]
    assert sum(int(entry.remasked.sum()) for entry in result.trace) > 0


@settings(max_examples=60, deadline=None)
@given(
    config=st.sampled_from(CONFIGS),
    steps=st.integers(1, 5),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_frozen_tokens_never_change_and_the_chunk_is_complete(config, steps, share, seed):
    canvas = action_canvas(steps, 3, 6)
    draw = seeded(seed)
    given_tokens = torch.randint(0, 6, (2, canvas.length), generator=draw)
    is_frozen = torch.rand(2, canvas.length, generator=draw) < share
    frozen = torch.where(is_frozen, given_tokens, FREE)

    result = run(random_network(6, seed), canvas, config, batch_size=2, seed=seed, frozen=frozen)

    assert torch.equal(result.tokens[is_frozen], given_tokens[is_frozen])
    assert (result.tokens < canvas.mask_token).all()
    assert (result.confidence[is_frozen] == 1).all()
    assert ((result.confidence >= 0) & (result.confidence <= 1 + 1e-6)).all()
    for entry in result.trace:
        assert torch.equal(entry.frozen, is_frozen)
        assert torch.equal(entry.tokens[is_frozen], given_tokens[is_frozen])
        assert (entry.confidence[is_frozen] == 1).all()
        assert not ((entry.committed | entry.remasked) & is_frozen).any()
        assert not (entry.committed & entry.remasked).any()


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_the_trace_accounts_for_every_change_of_the_canvas(config):
    canvas = action_canvas()
    result = run(random_network(canvas.vocabulary, 3), canvas, config, batch_size=2)

    before = torch.full((2, canvas.length), canvas.mask_token)
    for entry in result.trace:
        assert torch.equal(entry.committed, (before == canvas.mask_token) & (entry.tokens != canvas.mask_token))
        assert torch.equal(entry.remasked, (before != canvas.mask_token) & (entry.tokens == canvas.mask_token))
        kept = ~entry.committed & ~entry.remasked
        assert torch.equal(entry.tokens[kept], before[kept])
        before = entry.tokens
    assert torch.equal(before, result.tokens)


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


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_the_same_seed_gives_the_same_answer(config):
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)
    first, second = (run(network, canvas, config, batch_size=2, seed=5) for _ in range(2))
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(first.confidence, second.confidence)


def test_another_seed_gives_another_answer_unless_greedy():
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)

    def differs(config):
        return not torch.equal(run(network, canvas, config, seed=1).tokens, run(network, canvas, config, seed=2).tokens)

    assert differs(MaskedConfig.released())
    assert differs(MaskedConfig.paper())
    assert not differs(MaskedConfig(greedy=True))


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_a_chunk_does_not_depend_on_its_neighbours_in_the_batch(config):
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)
    mine = torch.full((1, canvas.length), FREE)
    mine[0, :21] = 2
    almost_done = torch.full((1, canvas.length), 3)
    almost_done[0, -1] = FREE
    empty = torch.full((1, canvas.length), FREE)

    answers = [
        run(network, canvas, config, batch_size=2, frozen=torch.cat([mine, neighbour]))
        for neighbour in (almost_done, empty)
    ]

    assert answers[0].nfe < answers[1].nfe or config.num_steps == 1
    assert torch.equal(answers[0].tokens[0], answers[1].tokens[0])
    assert torch.equal(answers[0].confidence[0], answers[1].confidence[0])


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


def test_the_one_shot_baseline_is_the_arg_max_of_one_call():
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 7)
    result = run(network, canvas, MaskedConfig.one_shot())
    assert result.nfe == 1
    assert torch.equal(result.tokens, network(torch.full((1, canvas.length), canvas.mask_token)).argmax(-1))


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


class NoHostSync(TorchDispatchMode):
    """Fails on every operation that would wait for the device or whose result has a data-dependent shape."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique", "multinomial")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert not any(name.startswith(waiting) for waiting in self.WAITING), f"{name} waits for the device"
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        assert not any(i is not None and i.dtype == torch.bool for i in indices), f"{name} with a boolean index"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_no_step_waits_for_the_device(config):
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)
    denoiser = MaskedDenoiser(config)
    state = denoiser.start(canvas, batch_size=2, frozen_tokens=None, device=torch.device("cpu"))
    draw = seeded()
    for index in range(state.num_steps):
        logits = network(state.tokens)
        with NoHostSync():
            state, _ = denoiser.step(index, state, logits, draw)
    assert (state.tokens != canvas.mask_token).all()


def test_the_guard_against_waiting_notices_it():
    with NoHostSync(), pytest.raises(AssertionError, match="waits"):
        torch.ones(1).item()
    with NoHostSync(), pytest.raises(AssertionError, match=r"boolean index|waits"):
        torch.ones(2)[torch.tensor([True, False])]


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
