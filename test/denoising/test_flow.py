"""Flow matching reaches what the network knows, along its path, and keeps what is given."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from no_host_sync import decode_without_waiting
from oracles import action_canvas, inverted, peaked_on, random_network, seeded

from dvla_ros.denoising.canvas import FREE, Canvas, Segment
from dvla_ros.denoising.flow import FlowConfig, FlowDenoiser, Jump, Path
from dvla_ros.denoising.flow_paths import MetricPath, MixturePath, embedding_distance, id_distance
from dvla_ros.denoising.loop import denoise
from dvla_ros.denoising.noise import Noise
from dvla_ros.denoising.registry import complete_settings, make_decoder
from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ActionError, ConfigurationError

CONFIGS = [FlowConfig(path=path, jump=jump) for path in get_args(Path) for jump in get_args(Jump)]
CONFIGS += [
    FlowConfig(alpha=0.9),
    FlowConfig(c=1.0, alpha=0.5, value_temperature=0.0),
    FlowConfig(fine_steps=16, validate_steps=0),
    FlowConfig(fine_steps=16, validate_steps=0, last_step="jump"),
    FlowConfig(fine_steps=0, validate_steps=3),
    FlowConfig(path="mixture", schedule="cosine", source="mask", fine_steps=12, validate_steps=0),
    FlowConfig(path="head", source="mask", power=2.0, value_temperature=0.7, adaptive_steps=False),
]
MIXED = Canvas((Segment("action", 2, 3, 4, prefilled=(FREE,) * 5 + (2,)), Segment("image", 1, 4, 9)))


def short(config) -> str:
    """The settings that differ from the defaults, as a test id."""
    default = vars(FlowConfig())
    return ",".join(f"{name}={value}" for name, value in vars(config).items() if value != default[name]) or "default"


def with_rates(network, vocabulary, seed=9):
    """The network with a rate head, whose rates depend on each position's token and are sometimes 0."""
    table = torch.rand(vocabulary + 1, vocabulary, generator=seeded(seed)) * 4
    table = torch.where(table < 1, 0.0, table)
    return lambda tokens: Scores(network(tokens), table[tokens])


def run(network, canvas, config, *, seeds=(0,), frozen=None, warm=None, distance=None, **options):
    return denoise(
        with_rates(network, canvas.vocabulary),
        canvas,
        FlowDenoiser(config, distance),
        seeds=seeds,
        frozen_tokens=frozen,
        warm_start=warm,
        **options,
    )


def started(config, canvas, *, frozen=None, warm=None, seeds=(0,)):
    return FlowDenoiser(config).start(
        canvas, noise=Noise(seeds), frozen_tokens=frozen, warm_start=warm, device=torch.device("cpu")
    )


def seen_by(network):
    """A network that keeps what it was shown."""
    seen = []

    def watched(tokens):
        seen.append(tokens)
        return network(tokens)

    return watched, seen


def random_frozen(canvas, rows, share, seed):
    draw = seeded(seed)
    sizes = canvas.vocabularies()
    tokens = (torch.rand(rows, canvas.length, generator=draw) * sizes).long().clamp_max(sizes - 1)
    free = torch.rand(rows, canvas.length, generator=draw) >= share
    prefilled = canvas.initial(rows, None, torch.device("cpu"))[1]
    return torch.where(free | prefilled, FREE, tokens)


@pytest.mark.parametrize("config", [c for c in CONFIGS if c.last_step == "sample"], ids=short)
def test_a_sure_network_is_recovered_exactly(config):
    canvas = action_canvas()
    answer = torch.randint(0, canvas.vocabulary, (3, canvas.length), generator=seeded(1))

    result = run(peaked_on(answer, canvas.vocabulary), canvas, config, seeds=(1, 2, 3))

    assert torch.equal(result.tokens, answer)
    assert not result.filled.any()


@pytest.mark.parametrize("jump", get_args(Jump))
@pytest.mark.parametrize("path", [{}, {"alpha": 0.9}, {"c": 1.0, "alpha": 2.0}], ids=str)
def test_jumps_alone_reach_what_a_sure_network_knows(path, jump):
    canvas = action_canvas()
    answer = torch.randint(0, canvas.vocabulary, (3, canvas.length), generator=seeded(1))
    config = FlowConfig(fine_steps=64, validate_steps=0, last_step="jump", jump=jump, **path)

    result = run(peaked_on(answer, canvas.vocabulary), canvas, config, seeds=(1, 2, 3))

    assert torch.equal(result.tokens, answer)


@pytest.mark.parametrize("config", [FlowConfig(), FlowConfig(alpha=0.9), FlowConfig(path="mixture")], ids=short)
def test_with_a_sure_network_no_token_moves_away_from_the_answer(config):
    canvas = action_canvas()
    answer = torch.randint(0, canvas.vocabulary, (4, canvas.length), generator=seeded(1))
    network, seen = seen_by(peaked_on(answer, canvas.vocabulary))

    result = run(network, canvas, config, seeds=range(4))

    away = [(tokens - answer).abs() for tokens in (seen[0], *(entry.tokens for entry in result.trace))]
    for earlier, later in pairwise(away):
        assert (later <= earlier).all()
    if config.path == "embedding":
        middle = [(0 < a) & (a < away[0]) for a in away]
        assert any(m.any() for m in middle), "tokens approach the answer through nearer ones"


@pytest.mark.parametrize(
    "config",
    [
        FlowConfig(fine_steps=200, validate_steps=0),
        FlowConfig(fine_steps=200, validate_steps=0, jump="linear", alpha=0.9),
        FlowConfig(fine_steps=200, validate_steps=0, path="mixture"),
        FlowConfig(fine_steps=200, validate_steps=0, path="mixture", schedule="cosine", jump="linear"),
    ],
    ids=short,
)
def test_many_steps_towards_one_token_follow_the_paths_marginal(config):
    canvas = action_canvas(2000, 1, 6)
    distance = embedding_distance(torch.randn(6, 8, generator=seeded(2))) / 4
    scores = Scores(peaked_on(torch.full((3, canvas.length), 1), 6)(None))
    noise = Noise(range(10, 13))
    denoiser = FlowDenoiser(config, distance)
    state = denoiser.start(canvas, noise=noise, frozen_tokens=None, warm_start=None, device=torch.device("cpu"))

    for k in range(121):
        if k in (20, 60, 120):
            expected = state.path.probabilities(torch.tensor([[1]]), torch.tensor([[k / 200]]))[0, 0]
            drawn = torch.bincount(state.tokens.flatten(), minlength=6) / 6_000
            assert torch.allclose(drawn, expected, atol=0.025), k
        state, _ = denoiser.step(k, state, scores, noise)


def oracle(config, distance, logits_of, tokens, frozen, sizes, noise, num_steps, validating):
    """Every canvas of one row, in plain Python, from the formulas and the same noise."""
    length = len(tokens)
    canvases = [list(tokens)]
    for k in range(num_steps):
        logits, rates = logits_of(tokens)
        first, uniform, last = (noise.uniform(length, step=k, draw=d)[0].tolist() for d in range(3))
        t, h = k / num_steps, 1 / num_steps
        moved = list(tokens)
        for i in range(length):
            if frozen[i]:
                continue
            ids = range(sizes[i])
            if k >= num_steps - validating:
                moved[i] = max(ids, key=lambda x: logits[i][x])
                continue
            proposal = max(ids, key=lambda x: logits[i][x])
            if config.value_temperature > 0:
                proposal = inverted([math.exp(logits[i][x] / config.value_temperature) for x in ids], first[i])
            if k == num_steps - 1 and config.last_step == "sample":
                moved[i] = proposal
                continue
            u = oracle_rates(config, distance, tokens[i], proposal, t, ids, rates[i])
            total = sum(u)
            chance = min(1.0, h * total) if config.jump == "linear" else 1 - math.exp(-h * total)
            if uniform[i] <= chance:
                moved[i] = inverted(u, last[i])
        tokens = moved
        canvases.append(list(tokens))
    return canvases


def oracle_rates(config, distance, z, goal, t, ids, head):
    if config.path == "head":
        return [0.0 if x == z else head[x] for x in ids]
    if config.path == "mixture":
        if config.schedule == "cosine":
            hazard = math.pi / 2 * math.tan(math.pi * t / 2)
        else:
            hazard = config.power * t ** (config.power - 1) / (1 - t**config.power)
        return [hazard if x == goal != z else 0.0 for x in ids]
    odds = t / (1 - t)
    weights = [math.exp(-config.c * odds**config.alpha * distance[goal][x]) for x in ids]
    slope = 0.0 if t == 0 and config.alpha < 1 else config.c * config.alpha * odds ** (config.alpha - 1) / (1 - t) ** 2
    return [weights[x] / sum(weights) * slope * max(distance[goal][z] - distance[goal][x], 0.0) for x in ids]


@pytest.mark.parametrize("canvas", [action_canvas(3, 3, 6), MIXED], ids=["one vocabulary", "two"])
@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_every_step_equals_a_loop_over_numbers(config, canvas):
    config = replace(config, adaptive_steps=False)
    vocabulary = canvas.vocabulary
    network = with_rates(random_network(vocabulary, 4), vocabulary)
    frozen_tokens = random_frozen(canvas, 1, 0.2, seed=3)
    distance = embedding_distance(torch.randn(vocabulary, 5, generator=seeded(8))) / 8
    watched, seen = seen_by(network)

    result = denoise(
        watched,
        canvas,
        FlowDenoiser(config, distance),
        seeds=(21,),
        frozen_tokens=frozen_tokens,
        finish_early=False,
    )

    def logits_of(tokens):
        scores = network(torch.tensor([tokens]))
        return scores.logits[0].tolist(), scores.rates[0].tolist()

    frozen = canvas.initial(1, frozen_tokens, torch.device("cpu"))[1][0].tolist()
    expected = oracle(
        config,
        distance.tolist(),
        logits_of,
        seen[0][0].tolist(),
        frozen,
        canvas.vocabularies().tolist(),
        Noise((21,)),
        config.num_steps,
        config.validate_steps,
    )
    assert [seen[0][0].tolist(), *(entry.tokens[0].tolist() for entry in result.trace)] == expected
    assert expected[0] != expected[-1]


def test_decoding_starts_from_uniform_noise_over_each_segments_vocabulary():
    canvas = Canvas((Segment("action", 1000, 1, 4), Segment("image", 1000, 1, 9)))
    tokens = started(FlowConfig(), canvas, seeds=range(10)).tokens
    for name, size in (("action", 4), ("image", 9)):
        share = torch.bincount(tokens[:, canvas.span(name)].flatten(), minlength=9) / 10_000
        assert torch.allclose(share[:size], torch.full((size,), 1 / size), atol=0.015)
        assert (share[size:] == 0).all()


def test_validating_steps_change_nothing_more_when_the_network_stands_still():
    canvas = action_canvas()
    logits = torch.randn(2, canvas.length, canvas.vocabulary, generator=seeded(3))
    config = FlowConfig(fine_steps=6, validate_steps=5)

    result = run(lambda tokens: logits, canvas, config, seeds=(1, 2), finish_early=False)

    assert result.nfe == 11
    for entry in result.trace[6:]:
        assert torch.equal(entry.tokens, logits.argmax(-1))
    assert not any(entry.committed.any() for entry in result.trace[7:])


def test_decoding_ends_after_a_validating_step_that_changes_nothing():
    canvas = action_canvas()
    logits = torch.randn(1, canvas.length, canvas.vocabulary, generator=seeded(3))
    result = run(lambda tokens: logits, canvas, FlowConfig(fine_steps=6, validate_steps=5))
    assert result.nfe == 8
    assert not result.filled.any()


def test_a_finished_row_stays_as_it_is_while_others_go_on():
    """The network flips row 1 in every step and row 0 never, until it flips row 0 too, too late."""
    canvas = action_canvas(1, 3, 4)
    calls = []

    def network(tokens):
        calls.append(1)
        flips = torch.tensor([len(calls) >= 4, len(calls) % 2 == 0])
        return 40 * torch.nn.functional.one_hot(flips.long(), 4).float().unsqueeze(1).expand(2, 3, 4)

    result = run(network, canvas, FlowConfig(fine_steps=0, validate_steps=6), seeds=(1, 2))

    assert result.nfe == 6
    assert result.tokens.tolist() == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("validate", [0, 2])
def test_no_fine_step_is_an_early_end(validate):
    canvas = action_canvas()
    answer = torch.zeros(1, canvas.length, dtype=torch.int64)
    config = FlowConfig(fine_steps=10, validate_steps=validate)
    assert run(peaked_on(answer, canvas.vocabulary), canvas, config).nfe >= 10


@settings(max_examples=60, deadline=None)
@given(config=st.sampled_from(CONFIGS), share=st.floats(0, 1), seed=st.integers(0, 1000))
def test_given_tokens_never_change_and_every_token_is_its_segments_own(config, share, seed):
    frozen_tokens = random_frozen(MIXED, 2, share, seed)
    given_tokens, is_frozen = MIXED.initial(2, frozen_tokens, torch.device("cpu"))

    result = run(random_network(9, seed), MIXED, config, seeds=(seed, seed + 1), frozen=frozen_tokens)

    for tokens in (result.tokens, *(entry.tokens for entry in result.trace)):
        assert torch.equal(tokens[is_frozen], given_tokens[is_frozen])
    assert (result.tokens < MIXED.vocabularies()).all()
    assert (result.confidence[is_frozen] == 1).all()
    assert ((result.confidence >= 0) & (result.confidence <= 1 + 1e-6)).all()
    for entry in result.trace:
        own_or_mask = (entry.tokens < MIXED.vocabularies()) | (entry.tokens == MIXED.mask_token)
        assert own_or_mask.all()
        assert (entry.confidence[is_frozen] == 1).all()
        assert not (entry.committed & is_frozen).any()


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_the_trace_accounts_for_every_change_of_the_canvas(config):
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 3)
    watched, seen = seen_by(network)

    result = run(watched, canvas, config, seeds=(1, 2))

    for before, entry in zip(seen, result.trace, strict=True):
        assert torch.equal(entry.committed, before != entry.tokens)
        assert not entry.remasked.any()
        p = torch.softmax(network(before), dim=-1)
        p = torch.cat([p, torch.zeros(2, canvas.length, 1)], dim=-1)
        assert torch.allclose(entry.confidence, p.gather(-1, entry.tokens.unsqueeze(-1)).squeeze(-1))
    assert torch.equal(result.trace[-1].tokens, result.tokens)


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_a_chunk_does_not_depend_on_its_neighbours_in_the_batch(config):
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)
    mine = torch.full((1, canvas.length), FREE)
    mine[0, :21] = 2
    almost_done = torch.full((1, canvas.length), 3)
    almost_done[0, -1] = FREE
    empty = torch.full((1, canvas.length), FREE)

    alone = run(network, canvas, config, seeds=(7,), frozen=mine)
    beside = [
        run(network, canvas, config, seeds=(7, 8), frozen=torch.cat([mine, other])) for other in (almost_done, empty)
    ]

    for answer in beside:
        assert torch.equal(answer.tokens[0], alone.tokens[0])
        assert torch.allclose(answer.confidence[0], alone.confidence[0])


def test_the_seed_decides_the_answer():
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)
    first, again, other = (run(network, canvas, FlowConfig(), seeds=(seed,)) for seed in (5, 5, 6))
    assert torch.equal(first.tokens, again.tokens)
    assert torch.equal(first.confidence, again.confidence)
    assert not torch.equal(first.tokens, other.tokens)


def test_a_deadline_completes_the_chunk_with_the_arg_max():
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)
    watched, seen = seen_by(network)
    config = FlowConfig(path="mixture", source="mask")

    result = run(watched, canvas, config, deadline_s=0.0)

    assert result.nfe == 1
    assert result.filled.all()
    assert torch.equal(result.tokens, network(seen[0]).argmax(-1))


def test_a_mask_source_reveals_tokens_one_by_one_and_leaves_no_mask():
    canvas = action_canvas()
    config = FlowConfig(path="mixture", schedule="cosine", source="mask", fine_steps=12, validate_steps=0)
    watched, seen = seen_by(random_network(canvas.vocabulary, 0))

    result = run(watched, canvas, config)

    masked = [int((tokens == canvas.mask_token).sum()) for tokens in (*seen, result.tokens)]
    assert masked[0] == canvas.length
    assert masked == sorted(masked, reverse=True)
    assert len(set(masked)) > 6
    assert masked[-1] == 0


def test_rates_of_0_never_move_a_token():
    canvas = action_canvas()
    network = random_network(canvas.vocabulary, 0)
    watched, seen = seen_by(lambda tokens: Scores(network(tokens), torch.zeros(1, canvas.length, canvas.vocabulary)))
    denoise(watched, canvas, FlowDenoiser(FlowConfig(path="head")), seeds=(0,))
    for tokens in seen[:15]:
        assert torch.equal(tokens, seen[0])


def test_a_rate_head_is_needed_for_its_path():
    canvas = action_canvas()
    with pytest.raises(ActionError, match="needs a network with a rate head"):
        denoise(random_network(canvas.vocabulary, 0), canvas, FlowDenoiser(FlowConfig(path="head")), seeds=(0,))


def test_training_gets_the_path_of_the_decoder():
    metric = FlowConfig(c=5.0, alpha=0.9).probability_path(6)
    assert isinstance(metric, MetricPath)
    assert (metric.c, metric.alpha) == (5.0, 0.9)
    assert torch.equal(metric.distance, id_distance(6))
    for path in ("mixture", "head"):
        assert FlowConfig(path=path, power=2.0).probability_path(6) == MixturePath(6, power=2.0)


def test_a_decoder_by_name_takes_the_distances_of_a_checkpoint():
    """With all tokens but 0 equally far apart, none is between: a token jumps straight to the answer."""
    canvas = action_canvas()
    decoder = make_decoder({"decoder": "flow", "validate_steps": 0, "fine_steps": 16})
    apart = 4 * (1 - torch.eye(canvas.vocabulary))
    answer = torch.full((1, canvas.length), 5)
    network = peaked_on(answer, canvas.vocabulary)

    straight = denoise(network, canvas, decoder.with_distance(apart), seeds=(0,))
    gradual = denoise(network, canvas, decoder, seeds=(0,))

    def is_direct(result):
        return all((entry.tokens[entry.committed] == 5).all() for entry in result.trace)

    assert is_direct(straight)
    assert not is_direct(gradual)
    assert complete_settings({"decoder": "flow"})["fine_steps"] == 14


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        (id_distance(5), "of 5 ids and the canvas has 16"),
        (torch.ones(16, 16), "to itself must be 0"),
        (torch.zeros(16), r"\[V, V\], got \[16\]"),
    ],
)
def test_distances_that_do_not_fit_are_refused(distance, message):
    canvas = action_canvas()
    with pytest.raises(ConfigurationError, match=message):
        run(random_network(canvas.vocabulary, 0), canvas, FlowConfig(), distance=distance)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"fine_steps": -1}, "fine_steps must be at least 0, got -1"),
        ({"validate_steps": -1}, "validate_steps"),
        ({"fine_steps": 0, "validate_steps": 0}, "num_steps must be at least 1"),
        ({"path": "metric"}, "path must be one of .*'metric'"),
        ({"jump": "poisson"}, "jump must be"),
        ({"last_step": "argmax"}, "last_step must be"),
        ({"c": -3.0}, "c must be above 0"),
        ({"alpha": 0.0}, "alpha must be above 0"),
        ({"schedule": "linear"}, "schedule must be"),
        ({"power": 0.5}, "power must be at least 1"),
        ({"source": "zeros"}, "source must be"),
        ({"source": "mask"}, "path must be 'mixture' or 'head'"),
        ({"source": "mask", "path": "mixture", "validate_steps": 0, "last_step": "jump"}, "last_step must be 'sample'"),
        ({"value_temperature": -1.0}, "value_temperature"),
        ({"warm_start_time": 1.0}, "warm_start_time must be at least 0 and below 1, got 1.0"),
    ],
)
def test_wrong_settings_are_named(settings_, message):
    with pytest.raises(ConfigurationError, match=message):
        FlowConfig(**settings_)


@pytest.mark.parametrize("config", CONFIGS, ids=short)
def test_no_step_waits_for_the_device(config):
    allowed = MIXED.allowed()
    network = with_rates(random_network(9, 0), 9)

    def masked(tokens):
        scores = network(tokens)
        return Scores(scores.logits.masked_fill(~allowed, -torch.inf), scores.rates * allowed)

    state = decode_without_waiting(masked, MIXED, FlowDenoiser(config), Noise((1, 2)))

    assert (state.tokens < MIXED.vocabularies()).all()
