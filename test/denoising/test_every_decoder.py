"""What holds for every decoder, on any canvas, whatever is given, guessed or answered.

A decoder joins with a line in `EXAMPLES`.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from no_host_sync import decode_without_waiting, no_host_sync
from oracles import random_network, seeded

from dvla_ros.denoising.canvas import FREE, Canvas, Segment, WarmStart
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.registry import DECODERS, make_decoder
from dvla_ros.denoising.state import Scores


@dataclass(frozen=True)
class Example:
    """Settings of a decoder, the most steps they may take, and whether it fills nothing but the actions."""

    decoder: str
    settings: dict
    at_most: int
    only_actions: bool = False

    def make(self):
        return make_decoder({"decoder": self.decoder, **self.settings})

    def __str__(self):
        return ",".join([self.decoder, *(f"{name}={value}" for name, value in self.settings.items())])


LONGEST = 24  # positions of the largest canvas below

EXAMPLES = [
    *(
        Example("masked", {"num_steps": 6, **choice}, at_most=6)
        for choice in (
            *({"order": order} for order in ("confidence", "max_confidence", "margin", "entropy", "random")),
            *({"schedule": schedule} for schedule in ("even", "log", "exp", "pow3")),
            {"values": "perturbed", "order": "max_confidence", "remask": "paper"},
            {"remask": "paper", "remask_drop": None, "remask_top": 2, "warm_keep": 1.0},
            {"remask": "released", "adaptive_steps": False},
            {"greedy": True},
        )
    ),
    Example("threshold", {"num_steps": 6, "threshold": 0.5}, at_most=6),
    Example("threshold", {"num_steps": 6, "accept": "factor", "at_least": "one", "value_temperature": 1.0}, at_most=6),
    Example("threshold", {"num_steps": 6, "accept": "entropy_bound", "entropy_bound": 0.8}, at_most=6),
    Example("credit", {"num_steps": 6, "threshold": 0.6, "weight": 2.0}, at_most=6),
    Example("credit", {"num_steps": 6, "accept": "entropy_bound", "value_temperature": 0.7}, at_most=6),
    Example("stopping", {"num_steps": 6, "stop_entropy": 1.2}, at_most=6),
    Example("stopping", {"num_steps": 6, "stop_entropy": 9.0, "value_temperature": 0.7, "at_least": "one"}, at_most=6),
    Example("blockwise", {}, at_most=LONGEST),
    Example("blockwise", {"block_tokens": 3, "value_temperature": 0.7, "least_share": 0.2}, at_most=LONGEST),
    Example("one_shot", {}, at_most=1),
    Example("one_shot", {"value_temperature": 1.0}, at_most=1),
    Example("autoregressive", {}, at_most=LONGEST),
    Example("autoregressive", {"tokens_per_step": 5, "value_temperature": 0.7}, at_most=(LONGEST + 4) // 5),
    Example("jacobi", {"num_steps": 5}, at_most=5),
    Example("jacobi", {"num_steps": 5, "guess": "mask", "value_temperature": 1.0}, at_most=5),
    Example("hierarchical", {}, at_most=LONGEST, only_actions=True),
    Example("hierarchical", {"value_temperature": 1.0, "order": "chronological"}, at_most=LONGEST, only_actions=True),
    Example("joint", {"num_steps": 8}, at_most=8),
    Example("joint", {"num_steps": 8, "budgets": "separate", "eoa_token": 1}, at_most=8),
    Example("joint", {"stages": "two", "image_steps": 5, "action_steps": 3, "eoa_token": 0}, at_most=8),
    Example("flow", {"fine_steps": 6, "validate_steps": 1}, at_most=7),
    Example("flow", {"fine_steps": 6, "validate_steps": 0, "path": "mixture", "source": "mask"}, at_most=6),
    Example("flow", {"fine_steps": 6, "validate_steps": 1, "path": "head"}, at_most=7),
]


def test_every_registered_decoder_has_an_example():
    assert {example.decoder for example in EXAMPLES} == set(DECODERS)


@dataclass(frozen=True)
class Case:
    """A canvas, what is given and guessed in each of its rows, and a network."""

    canvas: Canvas
    seeds: tuple[int, ...]
    frozen: torch.Tensor
    warm_start: WarmStart
    network_seed: int

    def network(self, tokens):
        logits = random_network(self.canvas.vocabulary, self.network_seed)(tokens)
        return Scores(logits, logits.exp())

    def row(self, row):
        """The same with one row of the batch alone."""
        guess = WarmStart(self.warm_start.tokens[row : row + 1], self.warm_start.confidence[row : row + 1])
        return Case(self.canvas, self.seeds[row : row + 1], self.frozen[row : row + 1], guess, self.network_seed)

    def run(self, decoder, network=None, **changes):
        return denoise(
            network or self.network,
            self.canvas,
            decoder,
            seeds=self.seeds,
            frozen_tokens=self.frozen,
            warm_start=self.warm_start,
            **changes,
        )

    def start(self, decoder):
        return decoder.start(
            self.canvas,
            noise=Noise(self.seeds),
            frozen_tokens=self.frozen,
            warm_start=self.warm_start,
            device=torch.device("cpu"),
        )

    def fixed(self):
        return self.canvas.initial(len(self.seeds), self.frozen, torch.device("cpu"))


@st.composite
def cases(draw):
    """1 to 3 segments of at most 8 positions, the actions anywhere among them, and 1 to 3 rows."""
    seed = draw(st.integers(0, 2**31))
    number = draw(st.integers(1, 3))
    shapes = st.tuples(st.integers(1, 4), st.integers(1, 2), st.integers(2, 9))
    names = draw(st.permutations(["action", "image", "text"][:number]))
    random = seeded(seed)
    segments = []
    for name in names:
        steps, dims, vocabulary = draw(shapes)
        ids = some(random, (steps * dims,), vocabulary, draw(st.sampled_from([0.0, 0.0, 0.3])))
        segments.append(Segment(name, steps, dims, vocabulary, tuple(ids.tolist())))
    canvas = Canvas(tuple(segments))
    rows = draw(st.integers(1, 3))

    def ids(share):
        return torch.cat([some(random, (rows, s.length), s.vocabulary, share) for s in segments], dim=1)

    prefilled = torch.tensor([token for s in segments for token in s.prefilled])
    frozen = ids(draw(st.sampled_from([0.0, 0.3, 1.0]))).masked_fill(prefilled != FREE, FREE)
    guess = WarmStart(ids(draw(st.sampled_from([0.0, 0.5, 1.0]))), torch.rand(rows, canvas.length, generator=random))
    return Case(canvas, tuple(range(seed, seed + rows)), frozen, guess, seed % 1000)


def some(random, shape, vocabulary, share):
    """Random ids at about this share of the positions, `FREE` at the others."""
    ids = torch.randint(0, vocabulary, shape, generator=random)
    return torch.where(torch.rand(shape, generator=random) < share, ids, FREE)


def with_actions_alone_free(case):
    """The same case with everything given but the actions."""
    span = case.canvas.span("action")
    outside = torch.ones(case.canvas.length, dtype=torch.bool)
    outside[span] = False
    prefilled = case.canvas.initial(1, None, torch.device("cpu"))[1][0]
    frozen = torch.where(outside & ~prefilled & (case.frozen == FREE), 0, case.frozen)
    return Case(case.canvas, case.seeds, frozen, case.warm_start, case.network_seed)


def on_any_canvas(number):
    """Run a test of (decoder's example, case) for every example, with so many cases each."""

    def decorate(test):
        def wrapper(example, case):
            test(example, with_actions_alone_free(case) if example.only_actions else case)

        checked = settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))
        wrapper.__name__ = test.__name__
        return pytest.mark.parametrize("example", EXAMPLES, ids=str)(checked(given(case=cases())(wrapper)))

    return decorate


@on_any_canvas(6)
def test_a_canvas_is_completed_with_what_was_given_unchanged(example, case):
    given_tokens, fixed = case.fixed()

    result = case.run(example.make())

    assert torch.equal(result.tokens[fixed], given_tokens[fixed])
    for segment in case.canvas.segments:
        part = result.tokens[:, case.canvas.span(segment.name)]
        assert ((part >= 0) & (part < segment.vocabulary)).all()
    assert ((result.confidence >= 0) & (result.confidence <= 1 + 1e-6)).all()
    assert (result.confidence[fixed] == 1).all()
    assert result.nfe == len(result.trace) <= min(example.at_most, case.start(example.make()).num_steps)
    assert not result.filled.any()


@on_any_canvas(6)
def test_the_trace_accounts_for_every_change(example, case):
    decoder = example.make()
    given_tokens, fixed = case.fixed()
    mask = case.canvas.mask_token
    start = case.start(decoder)
    before = getattr(
        start, "held", start.tokens
    )  # the joint decoder hides what it holds behind an EOA from the network

    result = case.run(decoder)

    for entry in result.trace:
        is_mask = entry.tokens == mask
        changed = entry.tokens != before
        assert torch.equal(entry.frozen, fixed)
        assert torch.equal(entry.tokens[fixed], given_tokens[fixed])
        assert (entry.confidence[fixed] == 1).all()
        assert ((entry.confidence >= 0) & (entry.confidence <= 1 + 1e-6)).all()
        assert not ((entry.committed | entry.remasked) & fixed).any()
        assert not (entry.committed & is_mask).any()
        assert torch.equal(entry.remasked, is_mask & changed)
        assert not (changed & ~entry.committed & ~entry.remasked).any()
        before = entry.tokens
    assert torch.equal(before, result.tokens)


@on_any_canvas(4)
def test_the_same_seed_gives_the_same_answer(example, case):
    first, second = case.run(example.make()), case.run(example.make())
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(first.confidence, second.confidence)


@on_any_canvas(6)
def test_a_row_gets_the_same_answer_alone_as_in_a_batch(example, case):
    together = case.run(example.make())

    alone = [case.row(row).run(example.make()) for row in range(len(case.seeds))]

    assert together.nfe == max(result.nfe for result in alone)
    for row, result in enumerate(alone):
        assert torch.equal(result.tokens[0], together.tokens[row])
        assert torch.equal(result.confidence[0], together.confidence[row])
        for mine, ours in zip(result.trace, together.trace, strict=False):
            assert torch.equal(mine.tokens[0], ours.tokens[row])


@on_any_canvas(4)
def test_whether_it_may_finish_early_changes_nothing_but_the_number_of_calls(example, case):
    early, whole = case.run(example.make()), case.run(example.make(), finish_early=False)

    assert early.nfe <= whole.nfe == case.start(example.make()).num_steps
    assert torch.equal(early.tokens, whole.tokens)
    assert torch.equal(early.confidence, whole.confidence)


@on_any_canvas(6)
def test_without_time_the_first_answer_completes_the_canvas_and_says_where(example, case):
    decoder = example.make()
    answers = []

    def watched(tokens):
        answers.append(case.network(tokens))
        return answers[-1]

    result = case.run(decoder, watched, deadline_s=0.0)

    state = case.start(decoder)
    assert result.nfe == min(1, state.num_steps)
    assert (result.tokens < case.canvas.mask_token).all()
    if state.num_steps > 1:
        allowed = answers[0].logits.masked_fill(~case.canvas.allowed(), -torch.inf)
        state, _ = decoder.step(0, state, Scores(allowed, answers[0].rates * case.canvas.allowed()), Noise(case.seeds))
        assert torch.equal(result.filled, state.undecided)
        assert torch.equal(result.tokens[result.filled], allowed.argmax(-1)[result.filled])
        assert torch.equal(result.tokens[~result.filled], state.tokens[~result.filled])
    given_tokens, fixed = case.fixed()
    assert torch.equal(result.tokens[fixed], given_tokens[fixed])
    assert not (result.filled & fixed).any()


@on_any_canvas(6)
def test_decoding_may_end_once_all_that_is_needed_is_decided(example, case):
    needed = torch.rand(case.canvas.length, generator=seeded(case.network_seed)) < 0.4
    decoder = example.make()

    result = case.run(decoder, needed=needed)

    undecided = list(states_with_a_need(decoder, case, needed))
    cut_short = result.nfe < len(undecided) - 1
    assert all((each & needed).any() for each in undecided[1 : result.nfe])
    assert not (cut_short and (undecided[result.nfe] & needed).any())
    assert torch.equal(result.filled, undecided[result.nfe] & torch.tensor(cut_short))
    assert not result.filled[:, needed].any()
    assert (result.tokens < case.canvas.mask_token).all()
    given_tokens, fixed = case.fixed()
    assert torch.equal(result.tokens[fixed], given_tokens[fixed])


def states_with_a_need(decoder, case, needed):
    """What is undecided, bool `[B, L]`, before the first step and after each when `needed` comes first."""
    state, allowed = replace(case.start(decoder), first=needed), case.canvas.allowed()
    yield state.undecided
    for index in range(state.num_steps):
        scores = case.network(state.tokens)
        scores = Scores(scores.logits.masked_fill(~allowed, -torch.inf), scores.rates * allowed)
        state, _ = decoder.step(index, state, scores, Noise(case.seeds))
        yield state.undecided


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_no_step_waits_for_the_device(example):
    canvas = Canvas((Segment("image", 2, 3, 9), Segment("action", 4, 3, 5, prefilled=(1, *[FREE] * 11))))
    case = Case(canvas, (0, 1), torch.full((2, 18), FREE), WarmStart(torch.zeros(0), torch.zeros(0)), 0)
    frozen = with_actions_alone_free(case).frozen if example.only_actions else None
    allowed = canvas.allowed()

    def network(tokens):
        scores = case.network(tokens)
        return Scores(scores.logits.masked_fill(~allowed, -torch.inf), scores.rates * allowed)

    state = decode_without_waiting(network, canvas, example.make(), Noise((0, 1)), frozen_tokens=frozen)
    assert (state.tokens != canvas.mask_token).all()


@pytest.mark.parametrize(
    "waits",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.tolist(),
        lambda x: x[0, x.argmax()],
        lambda x: torch.tensor([1.0, 2.0]) * x,
    ],
)
def test_the_guard_against_waiting_notices_it(waits):
    x = torch.ones(1, 2)
    with no_host_sync(), pytest.raises(AssertionError, match=r"boolean index|waits"):
        waits(x)
