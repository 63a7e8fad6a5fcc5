"""The perception sees everything it is given, each camera for itself."""

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.perception import POINTS, Perception, PerceptionConfig
from dvla_ros.models.vision import waves


@torch.no_grad()
def test_shapes(model, observation):
    percept, config = model.perception(*observation), model.config.perception
    places = (config.image_height // 4) * (config.image_width // 4)
    assert percept.tokens.shape == (2, config.length, config.width)
    assert percept.positions.shape == (2, 2, config.keypoints, 2)
    assert percept.log_places.shape == (2, 2, config.keypoints, places)
    assert percept.points.shape == (2, 2, 3)


@torch.no_grad()
@pytest.mark.parametrize("part", [0, 1, 2])
def test_the_tokens_depend_on_images_sentence_and_state(model, observation, part):
    before = model.perception(*observation).tokens
    changed = list(observation)
    changed[part] = 255 - changed[part] if part == 0 else -changed[part]
    assert (model.perception(*changed).tokens - before).abs().max() > 1e-4


@torch.no_grad()
def test_the_keypoints_of_a_camera_depend_on_its_image_alone(model, observation):
    images, text, state = observation
    before = model.perception(images, text, state).positions
    for camera in (0, 1):
        changed = images.clone()
        changed[:, camera] = 255 - changed[:, camera]
        moved = (model.perception(changed, text, state).positions - before).abs().amax(dim=(0, 2, 3))
        assert moved[camera] > 1e-6 and moved[1 - camera] == 0.0


@torch.no_grad()
@pytest.mark.parametrize("ahead", [False, True])
def test_the_ways_begin_where_the_frozen_rows_lead_to(ahead):
    """And nothing else changes: the body is where it is."""
    torch.manual_seed(0)
    config = PerceptionConfig(image_width=32, image_height=24, text_tokens=4, width=24, ways_after_frozen=ahead)
    perception = Perception(config).eval()
    images, text, state = torch.randint(256, (2, 2, 3, 24, 32)), torch.randn(2, 4, 384), torch.randn(2, 7)
    still, moved = (
        perception(images, text, state),
        perception(images, text, state, torch.tensor([[0.1, 0.0, -0.4]] * 2)),
    )
    changed = (moved.tokens - still.tokens).abs().amax(dim=(0, 2)) > 0.0
    assert not changed[:-POINTS].any() and changed[-POINTS:].all() == ahead
    away = still.points - state[:, None, :3] - torch.tensor([0.1, 0.0, -0.4]) * ahead
    reach = perception.reach(torch.cat([away, waves(away)], dim=-1)) + perception.position[-POINTS:]
    assert torch.allclose(moved.tokens[:, -POINTS:], reach, atol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"image_width": 130}, "image_width must be a positive multiple of 8, got 130"),
        ({"image_height": 0}, "image_height"),
        ({"keypoints": 1}, "keypoints must be 2 or more"),
        ({"cameras": 0}, "every size 1 or more"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, words):
    with pytest.raises(ConfigurationError, match=words):
        PerceptionConfig(**sizes)
