"""HAD completes actions one by one, the surest first, in two steps each, the surest tokens first."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from no_host_sync import decode_without_waiting
from oracles import action_canvas, peaked_on, random_network, seeded

from dvla_ros.denoising.canvas import FREE, Canvas, Segment, WarmStart
from dvla_ros.denoising.hierarchical import HierarchicalConfig, HierarchicalDenoiser
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.registry import make_decoder
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ConfigurationError

LLADA_VLA = action_canvas(5, 7, 32)
CONFIGS = [
    HierarchicalConfig(),
    HierarchicalConfig(order="chronological"),
    HierarchicalConfig(reduction="mean", committed_confidence="left_out"),
    HierarchicalConfig(committed_confidence="held", iterations_per_action=3),
    HierarchicalConfig(committed_confidence="left_out", value_temperature=1.0),
    HierarchicalConfig(iterations_per_action=7),
]


def run(network, canvas, config=None, *, seeds=(0,), **kwargs):
    return denoise(network, canvas, HierarchicalDenoiser(config or HierarchicalConfig()), seeds=seeds, **kwargs)


def sure_to(confidence):
    """A network of four ids that gives id 1 the probability `confidence[position]`."""
    rows = [[(1 - sure) / 3, sure, (1 - sure) / 3, (1 - sure) / 3] for sure in confidence]
    logits = torch.tensor(rows, dtype=torch.float64).log().float()
    return lambda tokens: logits.expand(len(tokens), -1, -1)


def commits(result, row=0):
    """Positions committed in each step."""
    return [[p for p, new in enumerate(entry.committed[row].tolist()) if new] for entry in result.trace]


def had_by_hand(network, steps, dims, vocabulary, iterations=2, frozen=None):
    """Greedy HAD on lists: the positions committed in each step, and the tokens."""
    held = list(frozen or [None] * steps * dims)
    schedule, current, left_steps = [], None, 0
    while any(token is None for token in held):
        visible = torch.tensor([[vocabulary if token is None else token for token in held]])
        table = torch.softmax(network(visible)[0].double(), dim=-1).tolist()
        best = [max(range(vocabulary), key=row.__getitem__) for row in table]
        if current is None:
            scores = {}
            for action in range(steps):
                own = range(action * dims, (action + 1) * dims)
                if any(held[p] is None for p in own):
                    scores[action] = sum(max(table[p]) if held[p] is None else 1.0 for p in own)
            current = max(scores, key=scores.__getitem__)
            left_steps = min(iterations, sum(held[p] is None for p in range(current * dims, (current + 1) * dims)))
        masked = [p for p in range(current * dims, (current + 1) * dims) if held[p] is None]
        quota = -(-len(masked) // left_steps)
        now = sorted(sorted(masked, key=lambda p: -max(table[p]))[:quota])
        for position in now:
            held[position] = best[position]
        schedule.append(now)
        left_steps -= 1
        if left_steps == 0:
            current = None
    return schedule, held


def test_the_surest_action_comes_first_and_keeps_its_four_surest_tokens():
    confidence = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]  # C = 3.5
    confidence += [0.9, 0.3, 0.8, 0.4, 0.7, 0.6, 0.5]  # C = 4.2
    confidence += [0.9, 0.9, 0.9, 0.3, 0.3, 0.3, 0.3]  # C = 3.9

    result = run(sure_to(confidence), action_canvas(3, 7, 4))

    assert commits(result) == [[7, 9, 11, 12], [8, 10, 13], [14, 15, 16, 17], [18, 19, 20], [0, 1, 2, 3], [4, 5, 6]]
    assert result.tokens.tolist() == [[1] * 21]
    torch.testing.assert_close(result.confidence[0], torch.tensor(confidence))


def test_chronological_order_takes_the_actions_as_they_come():
    confidence = [0.5] * 7 + [0.9] * 7 + [0.7] * 7
    config = HierarchicalConfig(order="chronological")
    result = run(sure_to(confidence), action_canvas(3, 7, 4), config)
    assert [positions[0] // 7 for positions in commits(result)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("seed", range(8))
def test_a_run_is_the_one_worked_out_by_hand(seed):
    network = random_network(32, seed)
    result = run(network, LLADA_VLA)
    schedule, tokens = had_by_hand(network, 5, 7, 32)
    assert commits(result) == schedule
    assert result.tokens[0].tolist() == tokens
    assert len(schedule) == 10


@settings(max_examples=40, deadline=None)
@given(
    steps=st.integers(1, 4),
    dims=st.integers(1, 5),
    iterations=st.integers(1, 6),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_a_run_around_frozen_tokens_is_the_one_worked_out_by_hand(steps, dims, iterations, share, seed):
    canvas, network, draw = action_canvas(steps, dims, 5), random_network(5, seed), seeded(seed)
    tokens = torch.randint(0, 5, (1, canvas.length), generator=draw)
    frozen = torch.where(torch.rand(1, canvas.length, generator=draw) < share, tokens, FREE)

    result = run(network, canvas, HierarchicalConfig(iterations_per_action=iterations), frozen_tokens=frozen)

    given_tokens = [None if token == FREE else token for token in frozen[0].tolist()]
    schedule, expected = had_by_hand(network, steps, dims, 5, iterations, given_tokens)
    assert commits(result) == schedule
    assert result.tokens[0].tolist() == expected
    assert result.nfe == len(schedule)


def test_an_action_once_begun_is_completed_first_though_another_has_become_surer():
    def network(tokens):
        begun = bool((tokens[0, :7] != 4).any())
        return sure_to([0.6] * 7 + [0.9 if begun else 0.5] * 7)(tokens)

    assert commits(run(network, action_canvas(2, 7, 4))) == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9, 10], [11, 12, 13]]


def test_equal_confidences_are_settled_in_the_order_of_the_actions_and_tokens():
    result = run(lambda tokens: torch.zeros(1, 21, 4), action_canvas(3, 7, 4))
    assert list(itertools.chain(*commits(result))) == list(range(21))
    assert result.tokens.tolist() == [[0] * 21]


def test_the_confidence_of_an_action_does_not_depend_on_the_order_of_its_tokens():
    values = [0.9999999, 0.3, 0.1 + 0.2, 0.7, 0.26, 0.5000001, 0.4]
    for permutation in itertools.islice(itertools.permutations(values), 0, 5040, 97):
        assert commits(run(sure_to([*permutation, *values]), action_canvas(2, 7, 4)))[0][0] < 7


@pytest.mark.parametrize(
    ("iterations", "sizes"), [(1, [7]), (2, [4, 3]), (3, [3, 2, 2]), (5, [2, 2, 1, 1, 1]), (7, [1] * 7), (9, [1] * 7)]
)
def test_the_tokens_of_an_action_are_split_evenly_over_its_steps(iterations, sizes):
    result = run(random_network(32, 0), LLADA_VLA, HierarchicalConfig(iterations_per_action=iterations))
    assert [len(positions) for positions in commits(result)] == sizes * 5


@pytest.mark.parametrize(("frozen_tokens", "nfe"), [(0, 10), (7, 8), (14, 6), (12, 8), (13, 7), (35, 0)])
def test_given_actions_take_no_steps_and_partly_given_ones_fewer(frozen_tokens, nfe):
    frozen = torch.full((1, 35), FREE)
    frozen[:, :frozen_tokens] = 9
    result = run(random_network(32, 0), LLADA_VLA, frozen_tokens=frozen)
    assert result.nfe == nfe
    assert (result.tokens[:, :frozen_tokens] == 9).all()
    assert (result.tokens < 32).all()


@pytest.mark.parametrize(
    ("reduction", "committed", "first"),
    [("sum", "one", 0), ("sum", "held", 1), ("sum", "left_out", 1), ("mean", "one", 0), ("mean", "left_out", 0)],
)
def test_given_tokens_count_in_their_action_as_configured(reduction, committed, first):
    frozen = torch.tensor([[1, 1, FREE, FREE, FREE, FREE]])
    network = sure_to([0.1, 0.1, 0.8, 0.6, 0.6, 0.6])
    config = HierarchicalConfig(reduction=reduction, committed_confidence=committed)

    result = run(network, action_canvas(2, 3, 4), config, frozen_tokens=frozen)

    # Action 0: 1 + 1 + 0.8, or 0.1 + 0.1 + 0.8, or 0.8 alone; action 1: 3 * 0.6.
    assert commits(result)[0][0] // 3 == first


@pytest.mark.parametrize("config", CONFIGS)
def test_a_sure_network_is_recovered_exactly(config):
    answer = torch.randint(0, 32, (3, 35), generator=seeded(1))
    result = run(peaked_on(answer, 32), LLADA_VLA, config, seeds=(0, 1, 2))
    assert torch.equal(result.tokens, answer)
    assert not result.filled.any()


@settings(max_examples=40, deadline=None)
@given(config=st.sampled_from(CONFIGS), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_a_chunk_does_not_depend_on_its_batch(config, share, seed):
    canvas, draw = action_canvas(4, 3, 6), seeded(seed)
    tokens = torch.randint(0, 6, (3, 12), generator=draw)
    frozen = torch.where(torch.rand(3, 12, generator=draw) < share * torch.tensor([[0.0], [0.5], [1.0]]), tokens, FREE)
    network = random_network(6, seed)

    together = run(network, canvas, config, seeds=(5, 6, 7), frozen_tokens=frozen)

    for row in range(3):
        alone = run(network, canvas, config, seeds=(5 + row,), frozen_tokens=frozen[row : row + 1])
        assert torch.equal(alone.tokens[0], together.tokens[row])
        assert commits(alone) == commits(together, row)[: alone.nfe]
        assert not any(commits(together, row)[alone.nfe :])


@pytest.mark.parametrize("config", CONFIGS)
def test_the_trace_accounts_for_every_change_of_the_canvas(config):
    frozen = LLADA_VLA.freeze_leading("action", torch.full((2, 1, 7), 3))
    result = run(random_network(32, 3), LLADA_VLA, config, seeds=(1, 2), frozen_tokens=frozen)

    before = torch.where(frozen == FREE, 32, frozen)
    for entry in result.trace:
        assert torch.equal(entry.committed, (before == 32) & (entry.tokens != 32))
        assert torch.equal(entry.tokens[~entry.committed], before[~entry.committed])
        assert not entry.remasked.any()
        assert (entry.confidence[:, :7] == 1).all()
        before = entry.tokens
    assert torch.equal(before, result.tokens)


def test_only_a_value_temperature_makes_the_answer_depend_on_the_seed():
    network = random_network(32, 0)
    greedy = run(network, LLADA_VLA, seeds=(1, 2))
    sampled = run(network, LLADA_VLA, HierarchicalConfig(value_temperature=1.0), seeds=(1, 2))
    assert torch.equal(greedy.tokens[0], greedy.tokens[1])
    assert not torch.equal(sampled.tokens[0], sampled.tokens[1])


def test_sampled_tokens_follow_the_distribution_of_the_network():
    p = torch.tensor([0.5, 0.3, 0.2])
    config = HierarchicalConfig(value_temperature=1.0)
    result = run(lambda tokens: p.log().expand(4000, 1, 3), action_canvas(1, 1, 3), config, seeds=range(4000))
    torch.testing.assert_close(result.tokens.flatten().bincount() / 4000, p, atol=0.03, rtol=0)


def test_sure_actions_of_a_warm_start_are_kept_and_the_others_decoded_anew():
    guess = torch.full((1, 35), 9)
    guess[0, 34] = FREE  # the last action is not guessed in whole
    confidence = torch.tensor([0.95, 0.95, 0.5, 0.75, 0.99]).repeat_interleave(7).unsqueeze(0)
    confidence[0, 0] = 0.7
    config = HierarchicalConfig(warm_keep_above=0.8)

    result = run(random_network(32, 0), LLADA_VLA, config, warm_start=WarmStart(guess, confidence))

    assert sorted({positions[0] // 7 for positions in commits(result)}) == [2, 3, 4]
    assert result.nfe == 6
    assert (result.tokens[0, :14] == 9).all()
    torch.testing.assert_close(result.confidence[0, :14], confidence[0, :14])
    assert not result.trace[0].frozen.any()


def test_given_tokens_count_neither_for_nor_against_the_guess_of_their_action():
    frozen = torch.full((1, 35), FREE)
    frozen[0, :3] = 1
    guess = WarmStart(torch.full((1, 35), 9), torch.tensor([[0.0] * 3 + [0.95] * 4 + [0.1] * 28]))
    result = run(random_network(32, 0), LLADA_VLA, warm_start=guess, frozen_tokens=frozen)
    assert result.tokens[0, :7].tolist() == [1, 1, 1, 9, 9, 9, 9]
    assert result.nfe == 8


def test_a_deadline_leaves_a_complete_chunk():
    ticks = itertools.count()
    result = run(random_network(32, 0), LLADA_VLA, deadline_s=3.5, clock=lambda: next(ticks))
    assert 0 < result.nfe < 10
    assert (result.tokens < 32).all()
    assert result.filled.any()


@pytest.mark.parametrize("config", CONFIGS)
def test_no_step_waits_for_the_device(config):
    network = random_network(32, 0)
    denoiser = HierarchicalDenoiser(config)
    state = decode_without_waiting(lambda t: Scores(network(t)), LLADA_VLA, denoiser, Noise((0, 1)))
    assert (state.tokens != 32).all()


def test_a_segment_of_actions_among_fixed_ones_is_decoded_in_its_place():
    canvas = Canvas((Segment("text", 1, 2, 4, (1, 2)), Segment("action", 2, 3, 4), Segment("end", 1, 1, 4, (3,))))
    result = run(sure_to([0.9, 0.9, 0.5, 0.5, 0.5, 0.8, 0.6, 0.7, 0.9]), canvas)
    assert commits(result) == [[5, 7], [6], [2, 3], [4]]
    assert result.tokens[0].tolist() == [1, 2, 1, 1, 1, 1, 1, 1, 3]


def test_a_canvas_with_other_things_to_fill_is_refused():
    canvas = Canvas((Segment("image", 2, 2, 4), Segment("action", 2, 3, 4)))
    with pytest.raises(ConfigurationError, match="4 other positions are free"):
        run(lambda tokens: torch.zeros(1, 10, 4), canvas)


def test_a_canvas_without_the_segment_is_refused():
    with pytest.raises(ConfigurationError, match="no segment 'actions'"):
        run(random_network(32, 0), LLADA_VLA, HierarchicalConfig(segment="actions"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"iterations_per_action": 0}, "iterations_per_action must be at least 1, got 0"),
        ({"order": "fastest"}, "order must be one of"),
        ({"reduction": "max"}, "reduction must be one of"),
        ({"committed_confidence": 1}, "committed_confidence must be one of"),
        ({"value_temperature": -1.0}, "value_temperature must be at least 0"),
        ({"warm_keep_above": 1.5}, "warm_keep_above must be in 0..1, got 1.5"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, message):
    with pytest.raises(ConfigurationError, match=message):
        HierarchicalConfig(**setting)


def test_the_decoder_can_be_chosen_by_name():
    decoder = make_decoder({"decoder": "hierarchical", "iterations_per_action": 3})
    assert decoder.config == HierarchicalConfig(iterations_per_action=3)
