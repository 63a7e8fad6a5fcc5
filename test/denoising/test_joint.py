"""JD3P decodes images and actions together, as released, and with the variants of its family."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from no_host_sync import decode_without_waiting
from oracles import inverted, random_network, seeded

from dvla_ros.denoising.canvas import FREE, Canvas, Segment, WarmStart
from dvla_ros.denoising.joint import JointConfig, JointDenoiser
from dvla_ros.denoising.joint_plan import ranking_temperatures
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.registry import make_decoder
from dvla_ros.denoising.schedules import masked_counts, schedule_named
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ActionError, ConfigurationError

UD_VLA_COUNTS = [int(count) for count in (
    "811 810 809 808 807 806 805 804 801 797 793 789 784 779 773 767 761 754 747 740 732 724 716 707 698 689 679 669 "
    "658 648 637 625 614 602 590 577 564 551 538 525 511 497 483 468 453 438 423 408 392 377 361 345 329 312 296 279 "
    "262 245 228 211 194 176 159 141 124 106 88 71 53 35 17 0"
).split()]  # fmt: skip
UD_VLA_TEMPERATURES = "0.9861 0.9587 0.9188 0.8677 0.8075 0.7402 0.6682 0.5940 0.5197 0.4475 0.3792 0.3160".split()

BOI, EOI, BOA = 6, 7, 4
EOA = 3
SMALL = Canvas(
    (
        Segment("static", 1, 12, 9, (BOI, *[FREE] * 10, EOI)),
        Segment("wrist", 1, 6, 9, (BOI, *[FREE] * 4, EOI)),
        Segment("action", 9, 1, 5, (BOA, *[FREE] * 8)),
    )
)
PREFILLED = {0: BOI, 11: EOI, 12: BOI, 17: EOI, 18: BOA}
ACTION = range(18, 27)
IMAGE = range(18)
PAIR = Canvas((Segment("image", 1, 20, 6), Segment("action", 10, 1, 6)))  # nothing prefilled

CONFIGS = [
    JointConfig(num_steps=9),
    JointConfig.released(9, eoa_token=EOA),
    JointConfig.paper(9, eoa_token=EOA),
    JointConfig.mmada_vla(7),
    JointConfig(stages="two", image_steps=5, action_steps=4),
    JointConfig(stages="two", image_steps=5, action_steps=4, eoa_token=EOA, after_eoa="settle"),
    JointConfig(num_steps=9, action_delay=0.6),
    JointConfig(num_steps=9, greedy=True),
    JointConfig(num_steps=9, finish_with_actions=True),
    JointConfig(num_steps=9, adaptive_steps=False, schedule="linear", value_temperature=0.5, choice_temperature=2.0),
]


def short(config) -> str:
    """The settings that differ from the defaults, as a test id."""
    default = vars(JointConfig())
    return ",".join(f"{name}={value}" for name, value in vars(config).items() if value != default[name])


class Spy:
    """A network that remembers what it was shown."""

    def __init__(self, network):
        self.network, self.seen = network, []

    def __call__(self, tokens):
        self.seen.append(tokens[0].tolist())
        return self.network(tokens)


def run(network, canvas, config, *, seeds=(0,), **kwargs):
    return denoise(network, canvas, JointDenoiser(config), seeds=seeds, **kwargs)


def sure_of(table, vocabulary):
    """A network that gives the id `token` the probability `p` at each position, from a list of (token, p)."""
    rows = [[p if id_ == token else (1 - p) / (vocabulary - 1) for id_ in range(vocabulary)] for token, p in table]
    logits = torch.tensor(rows, dtype=torch.float64).log().float()
    return lambda tokens: logits.expand(len(tokens), -1, -1)


def masked_per_step(result, mask_token, positions, row=0):
    return [sum(entry.tokens[row, p] == mask_token for p in positions) for entry in result.trace]


def decode_by_hand(network, canvas, config, seed):
    """The tokens held after each step, None where masked, worked out on lists."""
    vocabulary, noise = canvas.vocabulary, Noise((seed,))
    held, room, part, action = [], [], [], []
    for segment in canvas.segments:
        for position in range(segment.length):
            fixed = segment.prefilled[position] if segment.prefilled else FREE
            held.append(None if fixed == FREE else fixed)
            room.append(segment.vocabulary)
            action.append(segment.name == config.action_segment)
            part.append(int(action[-1]) if config.stages == "two" or config.budgets == "separate" else 0)
    whole = {p: sum(other == p and (config.reference == "canvas" or held[i] is None) for i, other in enumerate(part))
             for p in set(part)}  # fmt: skip
    turns = [(None, config.num_steps)]
    if config.stages == "two":
        turns = [(0, config.image_steps), (1, config.action_steps)]
    steps, index, history = [(turn, s, total) for turn, total in turns for s in range(total)], 0, []
    temperature = config.choice_temperature
    for turn, s, total in steps:
        if None not in held:
            break
        r = (s + 1) / total
        if s == 0:
            temperature = config.choice_temperature
        temperature *= 1 - r
        tau = temperature if config.choice_fade == "cumulative" else config.choice_temperature * (1 - r)
        shown = [vocabulary if token is None else token for token in held]
        ends = [i for i, token in enumerate(held) if action[i] and token is not None and token == config.eoa_token]
        if ends:
            shown = [vocabulary if i > ends[0] and action[i] else token for i, token in enumerate(shown)]
        logits = network(torch.tensor([shown]))[0].double().tolist()
        value_noise = noise.uniform(len(held), step=index, draw=0)[0].tolist()
        rank_noise = noise.gumbel(len(held), step=index, draw=1)[0].tolist()
        proposal, score = list(held), {}
        for i, token in enumerate(held):
            if token is not None:
                continue
            weights = [math.exp(x) for x in logits[i][: room[i]]]
            p = [w / sum(weights) for w in weights]
            if config.greedy or config.value_temperature == 0:
                proposal[i] = p.index(max(p))
            else:
                proposal[i] = inverted([q ** (1 / config.value_temperature) for q in p], value_noise[i])
            certainty = p[proposal[i]]
            if action[i] and r < config.action_delay:
                certainty = -100
            score[i] = math.log(max(certainty, 1e-20)) + tau * (not config.greedy) * rank_noise[i]
        stay = set()
        for p in set(part):
            pool = [i for i in score if part[i] == p]
            if turn is not None and p > turn:
                stay |= set(pool)
            elif s < total - 1 and pool and p == (p if turn is None else turn):
                ratio = math.cos(math.pi / 2 * r) if config.schedule == "cosine" else 1 - r
                count = min(max(1, math.floor(whole[p] * ratio + 1e-9)), len(pool) - 1)
                stay |= set(sorted(pool, key=score.__getitem__)[:count])
        held = [None if i in stay else token for i, token in enumerate(proposal)]
        if config.after_eoa == "settle":
            ends = [i for i, token in enumerate(held) if action[i] and token == config.eoa_token]
            held = [proposal[i] if ends and action[i] and i > ends[0] else token for i, token in enumerate(held)]
        if config.finish_with_actions and all(token is not None for i, token in enumerate(held) if action[i]):
            held = proposal
        history.append(held)
        index += 1
    return history


def ud_vla_run():
    image = Segment("static_future", 1, 636, 9, (BOI, *[FREE] * 634, EOI))
    wrist = Segment("gripper_future", 1, 111, 9, (BOI, *[FREE] * 109, EOI))
    canvas = Canvas((image, wrist, Segment("action", 70, 1, 5, (BOA, *[FREE] * 69))))
    logits = torch.randn(1, 817, 9, generator=seeded(0))
    return canvas, run(lambda tokens: logits, canvas, JointConfig.released())


def test_the_mask_counts_of_ud_vla_are_the_golden_ones():
    canvas, result = ud_vla_run()
    assert (canvas.length, canvas.free_length, result.nfe) == (817, 812, 72)
    assert [int((entry.tokens == canvas.mask_token).sum()) for entry in result.trace] == UD_VLA_COUNTS


def test_the_special_tokens_of_ud_vla_stay_and_no_mask_is_left():
    canvas, result = ud_vla_run()
    special = {0: BOI, 635: EOI, 636: BOI, 746: EOI, 747: BOA}
    for entry in result.trace:
        assert {p: int(entry.tokens[0, p]) for p in special} == special
    assert {p: int(result.tokens[0, p]) for p in special} == special
    assert (result.tokens < canvas.mask_token).all()
    assert (result.tokens[:, 747:] < 5).all()  # the smaller vocabulary of the actions


def test_the_cumulative_temperatures_are_the_golden_ones():
    taus = ranking_temperatures(72, 1.0, "cumulative")
    assert [f"{tau:.4f}" for tau in taus[:12]] == UD_VLA_TEMPERATURES
    assert [f"{taus[step - 1]:.4f}" for step in (16, 20, 24)] == ["0.1284", "0.0391", "0.0087"]
    assert len(taus) == 72
    assert taus[-1] == 0


def test_the_linear_temperatures_fall_by_the_same_amount():
    assert ranking_temperatures(4, 2.0, "linear") == [1.5, 1.0, 0.5, 0.0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_a_run_is_the_one_worked_out_by_hand(config, seed):
    network = random_network(SMALL.vocabulary, seed)
    result = run(network, SMALL, config, seeds=(seed,))

    history = decode_by_hand(network, SMALL, config, seed)
    held = [[None if token == SMALL.mask_token else token for token in e.tokens[0].tolist()] for e in result.trace]
    assert held == history
    assert result.tokens[0].tolist() == history[-1]
    assert result.nfe == len(history)


def test_values_follow_the_distribution_of_the_network():
    p = torch.tensor([0.5, 0.3, 0.15, 0.05])
    canvas = Canvas((Segment("image", 1, 1, 4), Segment("action", 1, 1, 3)))
    result = run(lambda t: p.log().expand(4000, 2, 4), canvas, JointConfig(num_steps=1), seeds=range(4000))
    shares = torch.stack([(result.tokens == token).float().mean(dim=0) for token in range(4)])
    torch.testing.assert_close(shares[:, 0], p, atol=0.03, rtol=0)
    torch.testing.assert_close(shares[:3, 1], p[:3] / p[:3].sum(), atol=0.03, rtol=0)
    assert shares[3, 1] == 0


def test_the_confidence_is_the_probability_of_the_sampled_token():
    p = torch.tensor([0.5, 0.3, 0.2, 0.0, 0.0, 0.0])
    result = run(lambda tokens: p.log().expand(1, 30, 6), PAIR, JointConfig(num_steps=5))
    torch.testing.assert_close(result.confidence, p[result.tokens])
    assert len(set(result.tokens[0].tolist())) > 1


@pytest.mark.parametrize(("reference", "whole"), [("canvas", 27), ("unknown", 22)])
def test_the_mask_ratio_counts_the_prefilled_positions_or_not(reference, whole):
    config = JointConfig(num_steps=9, reference=reference)
    result = run(random_network(9, 0), SMALL, config)
    counts = masked_per_step(result, SMALL.mask_token, range(27))
    assert counts == masked_counts(22, 9, schedule_named("cosine"), whole)


UNSURE_ACTIONS = sure_of([(1, 0.9)] * 20 + [(2, 0.4)] * 10, 6)
SURE_ACTIONS = sure_of([(1, 0.4)] * 20 + [(2, 0.9)] * 10, 6)


def test_in_a_shared_ranking_the_surer_part_comes_first():
    config = JointConfig(num_steps=6, schedule="linear", greedy=True)
    assert masked_per_step(run(UNSURE_ACTIONS, PAIR, config), 6, range(20, 30)) == [10, 10, 10, 10, 5, 0]
    assert masked_per_step(run(SURE_ACTIONS, PAIR, config), 6, range(20, 30)) == [5, 0, 0, 0, 0, 0]


def test_with_separate_budgets_each_part_keeps_to_the_schedule():
    config = JointConfig(num_steps=5, budgets="separate")
    for network in (UNSURE_ACTIONS, SURE_ACTIONS):
        result = run(network, PAIR, config)
        assert masked_per_step(result, 6, range(20)) == masked_counts(20, 5, schedule_named("cosine"))
        assert masked_per_step(result, 6, range(20, 30)) == masked_counts(10, 5, schedule_named("cosine"))


@pytest.mark.parametrize(
    ("delay", "actions_left"),
    [
        (0.0, [7, 4, 1, 0, 0, 0, 0, 0, 0, 0]),
        (0.3, [10, 10, 7, 4, 1, 0, 0, 0, 0, 0]),  # r = 0.3 is not below 0.3
        (0.5, [10, 10, 10, 10, 7, 4, 1, 0, 0, 0]),
        (1.0, [10, 10, 10, 10, 10, 10, 9, 6, 3, 0]),  # no image is left to come before
    ],
)
def test_delayed_actions_come_after_the_images(delay, actions_left):
    config = JointConfig(num_steps=10, schedule="linear", greedy=True, action_delay=delay)
    assert masked_per_step(run(SURE_ACTIONS, PAIR, config), 6, range(20, 30)) == actions_left


def test_two_stages_complete_the_images_before_the_first_action():
    spy = Spy(SURE_ACTIONS)
    result = run(spy, PAIR, JointConfig(stages="two", image_steps=6, action_steps=3))

    cosine = schedule_named("cosine")
    assert masked_per_step(result, 6, range(20)) == [*masked_counts(20, 6, cosine), 0, 0, 0]
    assert masked_per_step(result, 6, range(20, 30)) == [10] * 6 + masked_counts(10, 3, cosine)
    assert all(shown[20:] == [6] * 10 for shown in spy.seen[:7])
    assert result.nfe == 9


def test_two_stages_have_the_published_numbers_of_steps():
    canvas = Canvas((Segment("image", 1, 100, 6), Segment("action", 70, 1, 6)))
    result = run(lambda tokens: torch.zeros(1, 170, 6), canvas, JointConfig.two_stage(eoa_token=5, action_steps=28))
    assert next(index for index, entry in enumerate(result.trace) if not entry.tokens[0, :100].eq(6).any()) == 63
    config = JointConfig(stages="two")
    assert run(lambda tokens: torch.zeros(1, 170, 6), canvas, config).nfe == 64 + 28


def test_each_chunk_of_a_batch_begins_its_second_stage_when_its_own_images_are_complete():
    frozen = torch.full((2, 30), FREE)
    frozen[1, :20] = 2
    config = JointConfig(stages="two", image_steps=6, action_steps=3)
    result = run(SURE_ACTIONS, PAIR, config, seeds=(1, 2), frozen_tokens=frozen)
    actions = masked_counts(10, 3, schedule_named("cosine"))
    assert masked_per_step(result, 6, range(20, 30), row=0) == [10] * 6 + actions
    assert masked_per_step(result, 6, range(20, 30), row=1) == actions + [0] * 6


def ending_at(*ends, sure=0.9):
    """A network for SMALL that is surest of an EOA at the given action positions."""
    table = [(1, 0.5)] * 27
    for end in ends:
        table[end] = (EOA, sure)
    return sure_of(table, 9)


def test_the_network_sees_mask_behind_a_committed_eoa_and_the_decoder_keeps_its_tokens():
    spy = Spy(ending_at(22))
    result = run(spy, SMALL, JointConfig(num_steps=9, eoa_token=EOA, greedy=True))

    cut = 0
    for before, shown in zip(result.trace, spy.seen[1:], strict=False):
        held = before.tokens[0].tolist()
        expected = [9 if p in range(23, 27) and held[22] == EOA else token for p, token in enumerate(held)]
        assert shown == expected
        cut += shown != held
    assert cut > 0
    assert result.tokens[0, 18:].tolist() == [BOA, 1, 1, 1, EOA, 1, 1, 1, 1]
    assert torch.equal(result.tokens, result.trace[-1].tokens)
    assert not any(bool(entry.remasked.any()) for entry in result.trace)


def test_the_first_of_two_eoas_is_the_one_that_counts():
    frozen = torch.full((1, 27), FREE)
    frozen[0, 24] = EOA
    spy = Spy(ending_at(21, sure=0.99))
    run(spy, SMALL, JointConfig(num_steps=9, eoa_token=EOA, greedy=True), frozen_tokens=frozen)
    assert spy.seen[0][24] == EOA
    assert all(shown[21] == EOA and shown[22:24] == [9, 9] and shown[25:] == [9, 9] for shown in spy.seen[2:])


def test_the_same_id_in_an_image_does_not_end_the_actions():
    spy = Spy(sure_of([(EOA, 0.9)] * 18 + [(1, 0.95)] * 9, 9))
    result = run(spy, SMALL, JointConfig(num_steps=9, eoa_token=EOA, greedy=True))
    assert spy.seen[1:] == [entry.tokens[0].tolist() for entry in result.trace[:-1]]


def test_frozen_tokens_behind_an_eoa_stay_visible():
    frozen = torch.full((1, 27), FREE)
    frozen[0, 19], frozen[0, 25] = EOA, 2
    spy = Spy(random_network(9, 0))
    result = run(spy, SMALL, JointConfig(num_steps=9, eoa_token=EOA), frozen_tokens=frozen)
    assert all(shown[25] == 2 and shown[20:25] == [9] * 5 for shown in spy.seen)
    assert result.tokens[0, 25] == 2


def test_positions_behind_an_eoa_are_settled_at_once_when_asked_for():
    spy = Spy(ending_at(20, sure=0.99))
    config = JointConfig(num_steps=9, eoa_token=EOA, after_eoa="settle", greedy=True)
    result = run(spy, SMALL, config)
    assert result.trace[0].tokens[0, 20:].tolist() == [EOA, 1, 1, 1, 1, 1, 1]
    assert all(shown[21:] == [9] * 6 for shown in spy.seen[1:])
    left = masked_per_step(result, 9, range(27))
    # 22 unknown, of which the EOA and the 6 behind it are settled first; then the schedule of 27 with fewer left.
    assert left == [15, 14, 13, 12, 11, 10, 9, 4, 0]


def test_decoding_ends_with_the_actions_when_asked_for():
    config = JointConfig(num_steps=6, schedule="linear", greedy=True, finish_with_actions=True)
    result = run(SURE_ACTIONS, PAIR, config)
    assert masked_per_step(result, 6, range(30)) == [25, 0]
    assert result.nfe == 2
    assert not result.filled.any()


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_a_sure_network_is_recovered_exactly(config):
    answer = [PREFILLED.get(p, 1 + p % 2) for p in range(27)]
    result = run(sure_of([(token, 1 - 1e-9) for token in answer], 9), SMALL, config, seeds=(0, 1))
    assert result.tokens.tolist() == [answer, answer]
    assert not result.filled.any()


@settings(max_examples=60, deadline=None)
@given(config=st.sampled_from(CONFIGS), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_frozen_tokens_never_change_and_the_trace_accounts_for_the_rest(config, share, seed):
    draw = seeded(seed)
    is_frozen = (torch.rand(2, 27, generator=draw) < share) & ~torch.tensor([p in PREFILLED for p in range(27)])
    frozen = torch.where(is_frozen, torch.randint(0, 5, (2, 27), generator=draw), FREE)

    result = run(random_network(9, seed), SMALL, config, seeds=(seed, seed + 1), frozen_tokens=frozen)

    before, fixed = SMALL.initial(2, frozen, torch.device("cpu"))
    for entry in result.trace:
        assert torch.equal(entry.frozen, fixed)
        assert (entry.confidence[fixed] == 1).all()
        assert torch.equal(entry.committed, (before == 9) & (entry.tokens != 9))
        assert torch.equal(entry.tokens[~entry.committed], before[~entry.committed])
        before = entry.tokens
    assert torch.equal(before, result.tokens)
    assert (result.tokens[:, :18] < 9).all()
    assert (result.tokens[:, 18:] < 5).all()
    assert (result.confidence[fixed] == 1).all()
    assert ((result.confidence > 0) & (result.confidence <= 1 + 1e-6)).all()


@settings(max_examples=40, deadline=None)
@given(config=st.sampled_from(CONFIGS), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_a_chunk_does_not_depend_on_its_batch(config, share, seed):
    draw = seeded(seed)
    given_tokens = torch.rand(3, 30, generator=draw) < share * torch.tensor([[0.0], [0.5], [1.0]])
    frozen = torch.where(given_tokens, torch.randint(0, 6, (3, 30), generator=draw), FREE)
    network = random_network(6, seed)

    together = run(network, PAIR, config, seeds=(5, 6, 7), frozen_tokens=frozen)

    for row in range(3):
        alone = run(network, PAIR, config, seeds=(5 + row,), frozen_tokens=frozen[row : row + 1])
        assert torch.equal(alone.tokens[0], together.tokens[row])
        torch.testing.assert_close(alone.confidence[0], together.confidence[row])
        for index, entry in enumerate(together.trace):
            expected = alone.trace[index].tokens[0] if index < alone.nfe else alone.tokens[0]
            assert torch.equal(entry.tokens[row], expected)


def test_another_seed_gives_another_answer_unless_greedy():
    network = random_network(9, 0)
    sampled = run(network, SMALL, JointConfig(num_steps=9), seeds=(1, 2)).tokens
    greedy = run(network, SMALL, JointConfig(num_steps=9, greedy=True), seeds=(1, 2)).tokens
    assert not torch.equal(sampled[0], sampled[1])
    assert torch.equal(greedy[0], greedy[1])


def test_of_equal_scores_the_earlier_positions_are_settled_first():
    config = JointConfig(num_steps=30, schedule="linear", greedy=True)
    result = run(lambda tokens: torch.zeros(1, 30, 6), PAIR, config)
    assert [entry.committed[0].tolist().index(True) for entry in result.trace] == list(range(30))


@pytest.mark.parametrize(("given_count", "nfe"), [(0, 12), (11, 6), (21, 1), (22, 0)])
def test_fewer_unknowns_take_proportionally_fewer_steps(given_count, nfe):
    free = [p for p in range(27) if p not in PREFILLED]
    frozen = torch.full((1, 27), FREE)
    frozen[0, free[:given_count]] = 2
    assert run(random_network(9, 0), SMALL, JointConfig(num_steps=12), frozen_tokens=frozen).nfe == nfe
    assert run(random_network(9, 0), SMALL, JointConfig(num_steps=12, adaptive_steps=False), frozen_tokens=frozen).nfe \
        == min(12, 22 - given_count)  # fmt: skip


@pytest.mark.parametrize(("keep", "kept"), [(0.0, []), (0.5, [21, 22]), (0.8, [20, 21, 22]), (1.0, [20, 21, 22, 23])])
def test_the_surest_share_of_a_warm_start_is_kept(keep, kept):
    guess = WarmStart(torch.full((1, 27), FREE), torch.zeros(1, 27))
    guess.tokens[0, 18:24] = torch.tensor(
        [0, 0, 2, 2, 2, 2]
    )  # at a prefilled and a frozen position, and at four others
    guess.confidence[0, 18:24] = torch.tensor([1.0, 1.0, 0.6, 0.8, 0.9, 0.5])
    frozen = torch.full((1, 27), FREE)
    frozen[0, 19] = 1
    spy = Spy(random_network(9, 0))
    config = JointConfig(num_steps=9, warm_keep=keep)

    result = run(spy, SMALL, config, warm_start=guess, frozen_tokens=frozen)

    assert [p for p in range(20, 27) if spy.seen[0][p] != 9] == kept
    assert all(result.tokens[0, p] == 2 and result.confidence[0, p] == guess.confidence[0, p] for p in kept)
    assert result.tokens[0, 18:20].tolist() == [BOA, 1]
    assert not result.trace[0].frozen[0, 20:].any()
    assert result.nfe == 9 * (21 - len(kept)) // 22


def test_a_warm_start_of_another_shape_is_refused():
    with pytest.raises(ActionError, match="shape"):
        run(random_network(9, 0), SMALL, CONFIGS[0], warm_start=WarmStart(torch.zeros(1, 5).long(), torch.zeros(1, 5)))


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_a_deadline_leaves_a_complete_canvas(config):
    ticks = itertools.count()
    result = run(random_network(9, 0), SMALL, config, deadline_s=2.5, clock=lambda: next(ticks))
    assert 0 < result.nfe <= 3
    assert (result.tokens < 9).all()
    assert (result.tokens[:, 18:] < 5).all()
    assert {p: int(result.tokens[0, p]) for p in PREFILLED} == PREFILLED


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_no_step_waits_for_the_device(config):
    network = random_network(9, 0)
    state = decode_without_waiting(lambda t: Scores(network(t)), SMALL, JointDenoiser(config), Noise((0, 1)))
    assert (state.tokens != 9).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"action_steps": -1}, "action_steps must be at least 1"),
        ({"stages": "three"}, r"stages must be one of \('one', 'two'\), got 'three'"),
        ({"budgets": "own"}, "budgets must be one of"),
        ({"reference": "all"}, "reference must be one of"),
        ({"choice_fade": "none"}, "choice_fade must be one of"),
        ({"after_eoa": "drop"}, "after_eoa must be one of"),
        ({"after_eoa": "settle"}, "after_eoa must be 'compete' without an EOA"),
        ({"action_delay": 1.5}, "action_delay must be in 0..1"),
        ({"action_delay": 0.5, "budgets": "separate"}, "action_delay must be 0 unless one ranking is shared"),
        ({"action_delay": 0.5, "stages": "two"}, "action_delay must be 0 unless one ranking is shared"),
        ({"value_temperature": -0.1}, "value_temperature must be at least 0"),
        ({"warm_keep": 2.0}, "warm_keep must be in 0..1, got 2.0"),
        ({"schedule": "steep"}, "Unknown mask schedule 'steep'"),
    ],
)
def test_a_setting_out_of_range_is_refused(setting, message):
    with pytest.raises(ConfigurationError, match=message):
        JointConfig(**setting)


def test_an_eoa_outside_the_vocabulary_of_the_actions_is_refused():
    with pytest.raises(ConfigurationError, match=r"eoa_token must be in 0\.\.4 on this canvas, got 5"):
        run(random_network(9, 0), SMALL, JointConfig(eoa_token=5))


def test_a_canvas_without_the_action_segment_is_refused():
    with pytest.raises(ConfigurationError, match="no segment 'actions'"):
        run(random_network(9, 0), SMALL, JointConfig(action_segment="actions"))


def test_the_decoder_can_be_chosen_by_name():
    decoder = make_decoder({"decoder": "joint", "num_steps": 24, "budgets": "separate"})
    assert decoder.config == JointConfig.mmada_vla()
