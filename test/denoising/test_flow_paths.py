"""The paths start at noise, end at the token, and their velocities really make a chain follow them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import seeded

from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.flow_paths import (
    LATEST_TIME,
    MetricPath,
    MixturePath,
    embedding_distance,
    id_distance,
    sample_path,
    sample_times,
    value_distance,
)
from dvla_ros.denoising.noise import Noise
from dvla_ros.errors import ConfigurationError

TABLE = torch.randn(7, 5, generator=seeded(3))
METRIC = [
    MetricPath(distance, c, alpha)
    for distance in (embedding_distance(TABLE), id_distance(7))
    for c, alpha in ((3.0, 1.0), (3.0, 0.9), (1.0, 0.5), (5.0, 2.0))
]
MIXTURES = [MixturePath(7), MixturePath(7, power=2.5), MixturePath(7, schedule="cosine")]
MASKED = [MixturePath(7, source="mask"), MixturePath(7, schedule="cosine", source="mask")]
MIXED = Canvas((Segment("action", 1, 2, 4), Segment("image", 1, 3, 7)))


def short(value) -> str:
    """A test id without the distance matrix."""
    if not isinstance(value, MetricPath):
        return str(value)
    distance = "ids" if torch.equal(value.distance, id_distance(7)) else "embeddings"
    return f"metric of {distance}, c={value.c}, alpha={value.alpha}"


def times(*values):
    return torch.tensor(values).reshape(-1, 1)


def in_double(path):
    return path if isinstance(path, MixturePath) else MetricPath(path.distance.double(), path.c, path.alpha)


def all_pairs(vocabulary=7):
    """Every present token z with every target: two int64 `[V, V]`."""
    return torch.meshgrid(torch.arange(vocabulary), torch.arange(vocabulary), indexing="ij")


@pytest.mark.parametrize("path", METRIC + MIXTURES, ids=short)
def test_the_path_is_uniform_at_0_and_the_token_at_1(path):
    tokens = torch.arange(7).unsqueeze(0)
    assert torch.allclose(path.probabilities(tokens, times(0.0)), torch.full((1, 7, 7), 1 / 7))
    at_the_end = path.probabilities(tokens, times(1.0))
    assert torch.allclose(at_the_end, torch.eye(7).unsqueeze(0), atol=2e-5)


@pytest.mark.parametrize("path", MASKED, ids=short)
def test_a_mask_source_starts_at_mask(path):
    tokens = torch.arange(7).unsqueeze(0)
    assert (path.probabilities(tokens, times(0.0))[..., 7] == 1).all()
    assert torch.allclose(path.probabilities(tokens, times(1.0))[0, :, :7], torch.eye(7), atol=2e-5)


def test_beta_has_the_published_values():
    path = MetricPath(id_distance(4))
    assert path.beta(torch.tensor([0.0, 0.25, 0.5, 0.75])).tolist() == pytest.approx([0, 1, 3, 9])
    assert path.beta_rate(torch.tensor([0.0, 0.5, 0.75])).tolist() == pytest.approx([3, 12, 48])


def test_below_exponent_1_the_first_step_never_jumps():
    path = MetricPath(id_distance(4), alpha=0.9)
    assert path.beta_rate(torch.tensor([0.0])).item() == 0
    assert path.beta_rate(torch.tensor([1 / 16])).item() == pytest.approx(
        3 * 0.9 * (1 / 15) ** -0.1 / (15 / 16) ** 2, rel=1e-5
    )


@pytest.mark.parametrize("path", METRIC, ids=short)
def test_beta_rate_is_the_derivative_of_beta(path):
    time = torch.tensor([0.05, 0.3, 0.7, 0.95], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(path.beta(time).sum(), time)
    assert torch.allclose(path.beta_rate(time), slope)


@pytest.mark.parametrize(
    ("path", "kappa", "hazard"),
    [
        (MixturePath(3), lambda t: t, lambda t: 1 / (1 - t)),
        (MixturePath(3, power=3), lambda t: t**3, lambda t: 3 * t**2 / (1 - t**3)),
        (
            MixturePath(3, schedule="cosine"),
            lambda t: 1 - math.cos(math.pi * t / 2),
            lambda t: math.pi / 2 * math.tan(math.pi * t / 2),
        ),
    ],
    ids=["t", "t^3", "cosine"],
)
def test_kappa_and_its_hazard_have_their_closed_forms(path, kappa, hazard):
    grid = [0.0, 0.1, 0.5, 0.9, 1 - 2**-10]
    assert path.kappa(torch.tensor(grid)).tolist() == pytest.approx([kappa(t) for t in grid], abs=1e-6)
    assert path.hazard(torch.tensor(grid)).tolist() == pytest.approx([hazard(t) for t in grid], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("time", [0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("path", METRIC + MIXTURES, ids=short)
def test_the_velocity_satisfies_the_kolmogorov_equation(path, time):
    """dp_t(x)/dt is what flows in from all z less what flows out: exactly what makes the chain follow the path."""
    path = in_double(path)
    present, target = all_pairs()
    goal = torch.arange(7).unsqueeze(0)
    at = torch.tensor([[time]], dtype=torch.float64, requires_grad=True)
    p = path.probabilities(goal, at)[0]  # [x_1, x]
    jacobian = torch.autograd.functional.jacobian(lambda t: path.probabilities(goal, t)[0], at).reshape(7, 7)

    u = path.velocity(present, target, at.detach())  # [z, x_1, x]

    inflow = torch.einsum("az,zax->ax", p, u)
    outflow = p * u.sum(dim=-1).T
    assert torch.allclose(inflow - outflow, jacobian, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(path=st.sampled_from(METRIC + MIXTURES), time=st.floats(0, 1))
def test_rates_are_finite_and_lead_only_to_nearer_tokens(path, time):
    present, target = all_pairs()
    u = path.velocity(present, target, times(time))

    assert torch.isfinite(u).all()
    assert (u >= 0).all()
    assert (u.gather(-1, present.unsqueeze(-1)) == 0).all()
    if isinstance(path, MetricPath):
        for z in range(7):
            for x_1 in range(7):
                farther = [x for x in range(7) if path.distance[x_1, x] >= path.distance[x_1, z]]
                assert (u[z, x_1, farther] == 0).all()
    else:
        assert ((u > 0).sum(dim=-1) <= 1).all()


@pytest.mark.parametrize("time", [0.0, 0.3, 0.99, 1.0])
@pytest.mark.parametrize("path", [METRIC[0], METRIC[4]], ids=short)
def test_kinetic_optimal_rates_equal_a_loop(path, time):
    present, target = all_pairs()
    u = path.velocity(present, target, times(time))

    t = min(time, LATEST_TIME)
    beta, rate = 3 * t / (1 - t), 3 / (1 - t) ** 2
    for z in range(7):
        for x_1 in range(7):
            d = path.distance[x_1].tolist()
            weights = [math.exp(-beta * d[x]) for x in range(7)]
            expected = [weights[x] / sum(weights) * rate * max(d[z] - d[x], 0.0) for x in range(7)]
            assert u[z, x_1].tolist() == pytest.approx(expected, rel=2e-4, abs=1e-30)


@pytest.mark.parametrize("path", METRIC + MIXTURES, ids=short)
@pytest.mark.parametrize("time", [0.0, 0.4, 1.0])
def test_ids_beyond_a_segments_vocabulary_are_unreachable(path, time):
    allowed = MIXED.allowed()
    target = torch.tensor([[0, 3, 0, 6, 2]])
    p = path.probabilities(target, times(time), allowed)
    u = path.velocity(torch.tensor([[2, 1, 6, 0, 3]]), target, times(time), allowed)

    assert torch.allclose(p.sum(dim=-1), torch.ones(1, 5))
    assert (p[0][~allowed] == 0).all()
    assert (u[0][~allowed] == 0).all()
    assert (u.sum(dim=-1) > 0).all() or time == 0


def test_normalised_squared_distances_squared_are_the_embedding_distance():
    distance = embedding_distance(TABLE)
    for i in range(7):
        for j in range(7):
            a, b = (row / math.sqrt(sum(v * v for v in row)) for row in (TABLE[i].double(), TABLE[j].double()))
            assert distance[i, j].item() == pytest.approx(float(((a - b) ** 2).sum()) ** 2, rel=1e-6, abs=1e-12)
    assert distance.dtype == torch.float32
    assert torch.equal(distance, distance.T)
    assert (distance.diagonal() == 0).all()


def test_right_angles_are_4_apart_and_opposites_16():
    table = torch.tensor([[2.0, 0.0], [0.0, 0.5], [-3.0, 0.0]])
    assert embedding_distance(table).tolist() == [[0, 4, 16], [4, 0, 4], [16, 4, 0]]


def test_value_distances_follow_the_values_and_not_the_ids():
    assert value_distance(torch.tensor([1.0, -1.0, 0.0])).tolist() == [[0, 16, 8], [16, 0, 8], [8, 8, 0]]
    assert id_distance(5)[0].tolist() == [0, 4, 8, 12, 16]


@pytest.mark.parametrize("path", [*METRIC[:1], METRIC[4], *MIXTURES, *MASKED], ids=short)
def test_noisy_canvases_have_the_paths_distribution(path):
    tokens = torch.tensor([1, 5]).expand(2, 10_000, 2).flatten(1)
    time = torch.tensor([0.15, 0.6])

    noisy = sample_path(path, tokens, time, Noise([0, 1]))

    expected = path.probabilities(tokens[:, :2], time.unsqueeze(1))
    for row in range(2):
        for column in range(2):
            drawn = torch.bincount(noisy[row, column::2], minlength=expected.shape[-1]) / 10_000
            assert torch.allclose(drawn, expected[row, column], atol=0.02)


def test_noisy_canvases_keep_fixed_positions_and_every_segments_vocabulary():
    tokens = torch.tensor([[1, 3, 6, 0, 2]]).expand(500, 5)
    fixed = torch.tensor([True, False, False, True, False])

    noisy = sample_path(
        MixturePath(7), tokens, torch.zeros(500), Noise(range(500)), allowed=MIXED.allowed(), fixed=fixed
    )

    assert torch.equal(noisy[:, fixed], tokens[:, fixed])
    assert noisy[:, 1].unique().tolist() == [0, 1, 2, 3]
    assert noisy[:, 2].unique().tolist() == list(range(7))


def test_noisy_canvases_repeat_with_their_seed():
    tokens = torch.zeros(2, 50, dtype=torch.int64)
    first, again, other = (sample_path(METRIC[4], tokens, torch.tensor([0.1, 0.2]), Noise([s, s])) for s in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_training_times_stop_short_of_1():
    drawn = sample_times(Noise(range(100_000)))
    assert 0.998 < drawn.max() <= 0.999
    assert abs(drawn.mean() - 0.4995) < 0.005


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MetricPath(id_distance(4), c=0.0), "c must be above 0 .*got 0.0"),
        (lambda: MetricPath(id_distance(4), alpha=5.0), "alpha .*at most 4, got 5.0"),
        (lambda: MetricPath(torch.zeros(2, 3)), r"\[V, V\], got \[2, 3\]"),
        (lambda: MetricPath(torch.tensor([[0.0, -1.0], [1.0, 0.0]])), "not negative, got"),
        (lambda: MetricPath(torch.tensor([[0.0, math.nan], [1.0, 0.0]])), "finite"),
        (lambda: MetricPath(torch.ones(2, 2)), "to itself must be 0, got 1.0"),
        (lambda: MixturePath(4, schedule="linear"), "schedule must be one of .*'linear'"),
        (lambda: MixturePath(4, power=0.5), "power must be at least 1, got 0.5"),
        (lambda: MixturePath(4, source="noise"), "source must be one of .*'noise'"),
        (lambda: embedding_distance(torch.ones(3)), r"\[V, E\], got \[3\]"),
        (lambda: embedding_distance(torch.tensor([[1.0], [0.0], [math.inf]])), r"ids \[1, 2\] are zero"),
        (lambda: value_distance(torch.ones(3)), "different values"),
        (lambda: value_distance(torch.tensor([0.0, math.nan])), "finite"),
    ],
)
def test_wrong_paths_and_distances_are_named(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
