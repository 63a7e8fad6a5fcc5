"""The network computes the prefix once, and everybody sees whom he may see."""

from dataclasses import replace

import pytest
import torch

from dvla_ros.denoising.state import Scores
from dvla_ros.errors import ConfigurationError
from dvla_ros.models.canvas_io import SegmentSizes
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig

MASK = 16
IMAGE, ACTION = SegmentSizes("image_front", 1, 4, 11, ordered=False), SegmentSizes("action", 3, 7, 16)


def canvas(batch, length=21, fill=MASK):
    return torch.full((batch, length), fill)


def network(model, **changes):
    """A network like `model` with other settings, at random weights that are the same for all attentions."""
    torch.manual_seed(0)
    return SmallVla(replace(model.config, **changes)).eval()


@torch.no_grad()
def test_shapes(model, observation):
    assert model.logits(model.prefill(*observation), canvas(2)).shape == (2, 21, MASK)


@torch.no_grad()
def test_the_prefix_is_untouched_by_the_canvases_decoded_against_it(model, observation):
    prefix = model.prefill(*observation)
    first = model.logits(prefix, canvas(2))
    model.logits(prefix, canvas(2, fill=3))
    assert torch.equal(model.logits(prefix, canvas(2)), first)


@torch.no_grad()
def test_rows_of_a_batch_do_not_mix(model, observation):
    together = model.logits(model.prefill(*observation), canvas(2))
    alone = model.logits(model.prefill(*(part[1:] for part in observation)), canvas(1))
    assert torch.allclose(together[1:], alone, atol=1e-5)


@torch.no_grad()
def test_a_repeated_prefix_answers_several_canvases_of_one_observation(model, observation):
    canvases = torch.randint(0, MASK, (6, 21), generator=torch.Generator().manual_seed(0))
    prefix = model.prefill(*observation)
    each = torch.cat([model.logits(prefix, canvases[i::3]) for i in range(3)]).reshape(3, 2, 21, MASK)
    assert torch.allclose(model.logits(prefix.repeat(3), canvases), each.transpose(0, 1).flatten(0, 1), atol=1e-5)


@torch.no_grad()
def test_block_causal_segments_see_only_what_stands_before_them(model, observation):
    net = network(model, segments=(IMAGE, ACTION))
    prefix = net.prefill(*observation)
    before = net.logits(prefix, canvas(2, 25))
    other_action, other_image = canvas(2, 25), canvas(2, 25)
    other_action[:, 4:] = 3
    other_image[:, :4] = 3
    assert torch.allclose(net.logits(prefix, other_action)[:, :4, :11], before[:, :4, :11], atol=1e-6)
    assert (net.logits(prefix, other_image)[:, 4:] - before[:, 4:]).abs().max() > 1e-4


@torch.no_grad()
def test_merged_segments_see_each_other(model, observation):
    net = network(model, segments=(IMAGE, ACTION), attention="merged")
    prefix = net.prefill(*observation)
    other_action = canvas(2, 25)
    other_action[:, 4:] = 3
    change = (net.logits(prefix, other_action) - net.logits(prefix, canvas(2, 25)))[:, :4, :11]
    assert change.abs().max() > 1e-4


@torch.no_grad()
def test_with_full_attention_the_prefix_sees_the_canvas(model, observation):
    """What one canvas position says then depends on another through the prefix, which one layer would not show."""
    full, causal = (network(model, attention=attention) for attention in ("full", "block_causal"))
    full.load_state_dict(causal.state_dict())
    a, b = (net.logits(net.prefill(*observation), canvas(2)) for net in (full, causal))
    assert (a - b).abs().max() > 1e-4


@torch.no_grad()
def test_images_of_the_present_stand_in_the_prefix(model, observation):
    net = network(model, segments=(IMAGE, ACTION), seen_segments=1)
    seen = torch.zeros(2, 4, dtype=torch.int64)
    first = net.logits(net.prefill(*observation, seen), canvas(2, 25))[:, 4:]
    assert (net.logits(net.prefill(*observation, seen + 1), canvas(2, 25))[:, 4:] - first).abs().max() > 1e-5
    assert net.config.prefix_length == model.config.prefix_length + 4


@torch.no_grad()
def test_a_rate_head_gives_rates_beside_the_logits(model, observation):
    net = network(model, rate_head=True)
    scores = net.logits(net.prefill(*observation), canvas(2))
    assert isinstance(scores, Scores) and scores.rates.shape == scores.logits.shape
    assert (scores.rates >= 0).all()


def test_the_canvas_is_that_of_the_segments(model):
    layout = network(model, segments=(IMAGE, ACTION)).config.canvas
    assert (layout.length, layout.vocabulary, layout.span("action")) == (25, 16, slice(4, 25))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heads": 5}, "multiple of heads, got 24 and 5"),
        ({"layers": 0}, "every size must be 1 or more"),
        ({"segments": ()}, "there must be a segment"),
        ({"attention": "sideways"}, "attention must be one of"),
        ({"seen_segments": 1}, r"seen_segments must lie in 0\.\.0"),
    ],
)
def test_sizes_that_cannot_be_are_refused(model, changes, words):
    with pytest.raises(ConfigurationError, match=words):
        SmallVlaConfig(**{**model.config.__dict__, **changes})
