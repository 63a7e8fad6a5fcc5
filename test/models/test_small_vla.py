"""The network computes the prefix once and sees everything it is given."""

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import SmallVlaConfig

MASK = 16


def canvas(model, batch, fill=MASK):
    return torch.full((batch, model.config.horizon * model.config.action_dim), fill)


@torch.no_grad()
def test_shapes(model, observation):
    config = model.config
    prefix = model.prefill(*observation)
    places = (config.image_height // 4) * (config.image_width // 4)
    assert prefix.positions.shape == (2, 2, config.keypoints, 2)
    assert prefix.log_places.shape == (2, 2, config.keypoints, places)
    assert prefix.points.shape == (2, 2, 3)
    assert model.logits(prefix.cache, canvas(model, 2)).shape == (2, config.horizon * config.action_dim, MASK)


@torch.no_grad()
def test_the_prefix_is_untouched_by_the_canvases_decoded_against_it(model, observation):
    cache = model.prefill(*observation).cache
    before = [tensor.clone() for tensor in (*cache.keys, *cache.values)]
    first = model.logits(cache, canvas(model, 2))
    model.logits(cache, canvas(model, 2, fill=3))
    assert all(torch.equal(a, b) for a, b in zip(before, (*cache.keys, *cache.values), strict=True))
    assert torch.equal(model.logits(cache, canvas(model, 2)), first)


@torch.no_grad()
@pytest.mark.parametrize("part", [0, 1, 2])
def test_the_answer_depends_on_images_sentence_and_state(model, observation, part):
    before = model.logits(model.prefill(*observation).cache, canvas(model, 2))
    changed = list(observation)
    changed[part] = 255 - changed[part] if part == 0 else -changed[part]
    after = model.logits(model.prefill(*changed).cache, canvas(model, 2))
    assert (after - before).abs().max() > 1e-4


@torch.no_grad()
def test_the_answer_depends_on_both_cameras(model, observation):
    images, text, state = observation
    before = model.prefill(images, text, state).positions
    for camera in (0, 1):
        changed = images.clone()
        changed[:, camera] = 255 - changed[:, camera]
        moved = (model.prefill(changed, text, state).positions - before).abs().amax(dim=(0, 2, 3))
        assert moved[camera] > 1e-6 and moved[1 - camera] == 0.0


@torch.no_grad()
def test_equal_tokens_at_different_places_are_told_apart(model, observation):
    logits = model.logits(model.prefill(*observation).cache, canvas(model, 2))[0]
    distances = torch.cdist(logits, logits) + torch.eye(len(logits))
    assert distances.min() > 1e-3


@torch.no_grad()
def test_rows_of_a_batch_do_not_mix(model, observation):
    together = model.logits(model.prefill(*observation).cache, canvas(model, 2))
    alone = model.logits(model.prefill(*(part[1:] for part in observation)).cache, canvas(model, 1))
    assert torch.allclose(together[1:], alone, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"image_width": 130}, "image_width must be a positive multiple of 8, got 130"),
        ({"image_height": 0}, "image_height"),
        ({"width": 160, "heads": 3}, "multiple of heads, got 160 and 3"),
        ({"keypoints": 1}, "keypoints must be 2 or more"),
        ({"cameras": 0}, "every size 1 or more"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, words):
    with pytest.raises(ConfigurationError, match=words):
        SmallVlaConfig(**sizes)
