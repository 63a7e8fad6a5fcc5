"""The auxiliary losses teach the perception where things are, only where they are in view, and only while it learns."""

from dataclasses import replace

import pytest
import torch
from tiny_vla import ACTION, PERCEPTION, VOCABULARY, random_batch, random_tokens, tiny_config

from dvla_ros.models.perception import POINTS, Percept
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.models.vision import STRIDE
from dvla_ros.training.grounding import grounding_counts, grounding_errors, grounding_sums, localising_errors

HEIGHT, WIDTH = PERCEPTION.image_height, PERCEPTION.image_width
ROWS, COLUMNS = HEIGHT // STRIDE, WIDTH // STRIDE


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SmallVla(tiny_config())


@pytest.fixture
def batch():
    return random_batch(random_tokens(4, ACTION.length, VOCABULARY))


def means(percept, batch):
    """Both losses, each sum divided by its count."""
    counts, sums = grounding_counts(batch), grounding_sums(percept, batch)
    assert counts.keys() == sums.keys()
    return {name: sums[name] / counts[name].clamp_min(1) for name in sums}


def found(percept, pixels):
    """Mean of the errors of the points in view."""
    errors = grounding_errors(percept, pixels, HEIGHT, WIDTH)
    return errors.sum() / ((pixels > 0) & (pixels < 1)).all(dim=-1).sum().clamp_min(1)


def gradient_of_images(model, batch):
    images = batch.images.clone().requires_grad_()
    percept = model.perception(images, batch.text, batch.state)
    loss = found(percept, batch.pixels)
    return loss.item(), torch.autograd.grad(loss, images)[0]


def certain_percept(row, column):
    """One camera whose two keypoints are in the middle of one cell."""
    places = torch.full((1, 1, POINTS, ROWS * COLUMNS), 1e-9)
    places[..., row * COLUMNS + column] = 1.0
    position = torch.tensor([(column + 0.5) / COLUMNS, (row + 0.5) / ROWS])
    return Percept(torch.zeros(1, 1, 1), position.expand(1, 1, POINTS, 2), places.log(), torch.zeros(1, 2, 3))


def test_a_point_found_exactly_costs_nothing():
    percept = certain_percept(2, 5)
    assert found(percept, percept.positions).item() == pytest.approx(0.0, abs=1e-5)


def test_a_point_between_two_cells_asks_for_half_of_each():
    percept = certain_percept(2, 5)
    even = percept.log_places.exp()
    even[..., 2 * COLUMNS + 5] = even[..., 2 * COLUMNS + 6] = 0.5
    between = percept.positions + torch.tensor([0.5 / COLUMNS, 0.0])
    cost = found(replace(percept, positions=between, log_places=even.log()), between)
    assert cost.item() == pytest.approx(torch.tensor(2.0).log().item(), rel=1e-4)  # the entropy of (1/2, 1/2)


def test_points_out_of_view_teach_nothing(model, batch):
    loss, gradient = gradient_of_images(model, replace(batch, pixels=torch.full_like(batch.pixels, -1.0)))
    assert loss == 0.0 and (gradient == 0.0).all()


def test_only_the_camera_that_sees_the_point_is_taught(model, batch):
    pixels = batch.pixels.clone()
    pixels[:, 1] = 1.5
    _, gradient = gradient_of_images(model, replace(batch, pixels=pixels))
    assert gradient[:, 0].abs().max() > 0.0 and (gradient[:, 1] == 0.0).all()


def test_the_means_are_over_all_points(model, batch):
    percept = model.perception(batch.images, batch.text, batch.state)
    located = (percept.points - batch.points).abs().mean()
    assert means(percept, batch)["localising"].item() == pytest.approx(located.item(), rel=1e-6)
    assert means(percept, batch)["grounding"].item() == pytest.approx(found(percept, batch.pixels).item(), rel=1e-6)


def test_a_perception_that_is_not_trained_has_no_auxiliary_loss(batch):
    assert grounding_sums(None, batch) == {}


def test_what_a_recording_cannot_know_teaches_nothing(model, batch):
    unknown = replace(batch, pixels=torch.full_like(batch.pixels, torch.nan), points=batch.points * torch.nan)
    percept = model.perception(unknown.images, unknown.text, unknown.state)
    losses = means(percept, unknown)
    assert losses["grounding"] == losses["localising"] == 0.0
    (losses["grounding"] + losses["localising"]).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_recorded_frames_leave_the_losses_of_simulated_ones_as_they_are(model, batch):
    pixels, points = batch.pixels.clone(), batch.points.clone()
    pixels[2:], points[2:] = torch.nan, torch.nan
    percept = model.perception(batch.images, batch.text, batch.state)
    half = Percept(percept.tokens[:2], percept.positions[:2], percept.log_places[:2], percept.points[:2])
    assert found(percept, pixels).item() == pytest.approx(found(half, pixels[:2]).item(), rel=1e-5)
    assert localising_errors(percept, points).sum().item() == pytest.approx(
        (half.points - points[:2]).abs().sum().item(), rel=1e-5
    )
