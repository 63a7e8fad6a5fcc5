"""Keypoints stay in the picture and go where the features answer the question."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.models.vision import FEATURES, FREQUENCIES, STRIDE, InstructedKeypoints, Stem, waves

WIDTH, KEYPOINTS, ROWS, COLUMNS = 16, 4, 6, 8


def keypoints():
    torch.manual_seed(0)
    return InstructedKeypoints(WIDTH, KEYPOINTS, ROWS * STRIDE, COLUMNS * STRIDE).eval()


@given(st.floats(0.0, 300.0), st.integers(0, 99))
@settings(deadline=None, max_examples=25)
@torch.no_grad()
def test_positions_stay_in_the_picture_whatever_the_features(scale, seed):
    generator = torch.Generator().manual_seed(seed)
    features = scale * torch.randn(2, FEATURES, ROWS, COLUMNS, generator=generator)
    text, state = torch.randn(2, 5, WIDTH, generator=generator), torch.randn(2, WIDTH, generator=generator)
    tokens, positions, log_places = keypoints()(features, text, state)
    assert tokens.shape == (2, KEYPOINTS, WIDTH) and torch.isfinite(tokens).all()
    assert positions.shape == (2, KEYPOINTS, 2)
    assert positions.min() > 0.0 and positions.max() < 1.0
    assert torch.allclose(log_places.exp().sum(dim=-1), torch.ones(2, KEYPOINTS), atol=1e-4)


@torch.no_grad()
def test_a_keypoint_lies_where_the_features_answer_it():
    ask = keypoints()
    text, state = torch.randn(1, 5, WIDTH), torch.randn(1, WIDTH)
    slots = ask.slots + state.unsqueeze(1)
    heard, _ = ask.listen(slots, text, text, need_weights=False)
    query = ask.ask(ask.norm(slots + heard))[0, 0, :FEATURES]
    features = torch.zeros(1, FEATURES, ROWS, COLUMNS)
    features[0, :, 4, 2] = 1000.0 * query
    _, positions, _ = ask(features, text, state)
    assert torch.allclose(positions[0, 0], torch.tensor([2.5 / COLUMNS, 4.5 / ROWS]), atol=1e-3)


@torch.no_grad()
def test_what_is_asked_depends_on_the_sentence():
    ask = keypoints()
    generator = torch.Generator().manual_seed(3)
    features, state = torch.randn(1, FEATURES, ROWS, COLUMNS, generator=generator), torch.zeros(1, WIDTH)
    _, one, _ = ask(features, torch.randn(1, 5, WIDTH, generator=generator), state)
    _, other, _ = ask(features, torch.randn(1, 5, WIDTH, generator=generator), state)
    assert (one - other).abs().max() > 1e-3


@torch.no_grad()
def test_the_stem_gives_a_quarter_of_the_resolution_for_bytes_and_floats_alike():
    stem = Stem().eval()
    images = torch.randint(0, 256, (2, 3, 24, 32), dtype=torch.uint8)
    features = stem(images)
    assert features.shape == (2, FEATURES, 24 // STRIDE, 32 // STRIDE)
    assert torch.equal(stem(images.float()), features)


def test_waves_tell_near_numbers_apart():
    near = waves(torch.tensor([[0.500], [0.505]]))
    assert near.shape == (2, 2 * FREQUENCIES)
    assert (near[0] - near[1]).abs().max() > 0.1
