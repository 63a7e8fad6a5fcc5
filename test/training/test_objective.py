"""The loss counts masked tokens only, and goes down when the network learns."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.small_vla import SmallVla, SmallVlaConfig
from dvla_ros.training.objective import Batch, MaskedObjective, ObjectiveConfig

SIZES = SmallVlaConfig(
    image_width=32, image_height=24, text_tokens=4, horizon=2, vocabulary=16, width=24, heads=3, layers=2, keypoints=2
)
LENGTH = SIZES.horizon * SIZES.action_dim
CENTRES = torch.linspace(-1.0, 1.0, SIZES.vocabulary)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return SmallVla(SIZES)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    return Batch(
        images=(255 * draw(4, 2, 3, 24, 32)),
        text=draw(4, 4, 384),
        state=draw(4, 7) * 2 - 1,
        tokens=torch.randint(0, SIZES.vocabulary, (4, LENGTH), generator=generator),
        pixels=0.1 + 0.8 * draw(4, 2, 2, 2),
        points=draw(4, 2, 3) * 0.3,
    )


def generator():
    return torch.Generator().manual_seed(2)


class FixedLogits(SmallVla):
    """The real network up to its answer, which is given; it remembers the canvases it was asked about."""

    def __init__(self, answer):
        super().__init__(SIZES)
        self.answer, self.canvases = answer, None

    def logits(self, cache, tokens):
        self.canvases = tokens
        return self.answer.expand(*tokens.shape, SIZES.vocabulary)


def test_only_masked_tokens_count_each_canvas_the_same(batch):
    torch.manual_seed(0)
    model = FixedLogits(torch.linspace(0.0, 2.0, SIZES.vocabulary))
    config = ObjectiveConfig(masks=3, neighbours=0.0)
    losses = MaskedObjective(config, CENTRES)(model, batch, generator())
    truth = batch.tokens.repeat_interleave(3, dim=0)
    masked = model.canvases == SIZES.vocabulary
    assert (model.canvases[~masked] == truth[~masked]).all()
    assert masked.sum(dim=1).min() >= 1 and len(set(masked.sum(dim=1).tolist())) > 1
    each = functional.cross_entropy(model.answer[:, None].expand(12, -1, LENGTH), truth, reduction="none")
    expected = torch.stack([row[m].mean() for row, m in zip(each, masked, strict=True)]).mean()
    assert losses.tokens.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_parts_add_up_with_their_weights(model, batch):
    config = ObjectiveConfig(expectation=0.3, grounding=0.2, localising=5.0)
    losses = MaskedObjective(config, CENTRES)(model, batch, generator())
    expected = losses.tokens + 0.3 * losses.expectation + 0.2 * losses.grounding + 5.0 * losses.localising
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_an_untrained_network_knows_about_as_much_as_chance(model, batch):
    losses = MaskedObjective(ObjectiveConfig(neighbours=0.0), CENTRES)(model, batch, generator())
    assert losses.tokens.item() == pytest.approx(math.log(SIZES.vocabulary), rel=0.25)


def test_the_expectation_is_the_distance_of_the_mean_action(batch):
    model = FixedLogits(torch.where(torch.arange(SIZES.vocabulary) == 3, 0.0, -1e4))
    losses = MaskedObjective(ObjectiveConfig(masks=1), CENTRES)(model, batch, generator())
    masked = model.canvases == SIZES.vocabulary
    error = (CENTRES[batch.tokens] - CENTRES[3]).abs()
    expected = torch.stack([row[m].mean() for row, m in zip(error, masked, strict=True)]).mean()
    assert losses.expectation.item() == pytest.approx(expected.item(), rel=1e-4)


def test_points_out_of_view_teach_the_keypoints_nothing(model, batch):
    config = ObjectiveConfig(grounding=1.0)
    unseen = replace(batch, pixels=torch.full_like(batch.pixels, -1.0))
    images = batch.images.clone().requires_grad_()
    losses = MaskedObjective(config, CENTRES)(model, replace(unseen, images=images), generator())
    (gradient,) = torch.autograd.grad(losses.grounding, images)
    assert losses.grounding.item() == 0.0 and (gradient == 0.0).all()


def test_only_the_visible_of_two_cameras_is_taught(model, batch):
    pixels = batch.pixels.clone()
    pixels[:, 1] = 1.5
    images = batch.images.clone().requires_grad_()
    losses = MaskedObjective(ObjectiveConfig(), CENTRES)(
        model, replace(batch, images=images, pixels=pixels), generator()
    )
    (gradient,) = torch.autograd.grad(losses.grounding, images)
    assert gradient[:, 0].abs().max() > 0.0 and (gradient[:, 1] == 0.0).all()


def test_a_small_batch_can_be_learned_by_heart(model, batch):
    objective, source = MaskedObjective(ObjectiveConfig(neighbours=0.0), CENTRES), generator()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(120):
        losses = objective(model, batch, source)
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        history.append([losses.tokens.item(), losses.grounding.item(), losses.localising.item()])
    first, last = history[0], [sum(column) / 5 for column in zip(*history[-5:], strict=True)]
    assert last[0] < 0.5 * first[0] and last[1] < 0.8 * first[1] and last[2] < 0.5 * first[2]


def test_neighbouring_bins_are_nearly_right(batch):
    one_hot = MaskedObjective(ObjectiveConfig(neighbours=0.0), CENTRES)
    smooth = MaskedObjective(ObjectiveConfig(neighbours=0.8), CENTRES)
    near = FixedLogits(torch.zeros(()))
    near.answer = 6.0 * functional.one_hot((batch.tokens + 1).clamp_max(15), SIZES.vocabulary).float()
    near.logits = lambda cache, tokens: near.answer.repeat_interleave(2, dim=0)
    assert smooth(near, batch, generator()).tokens < one_hot(near, batch, generator()).tokens - 0.5


@pytest.mark.parametrize("change", [{"masks": 0}, {"neighbours": -0.1}, {"grounding": -1.0}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ConfigurationError, match="masks must be 1 or more and weights 0 or more"):
        ObjectiveConfig(**change)
