"""The objective teaches the words and the noise; a handful of frames can be learned by heart."""

from dataclasses import replace

import pytest
import torch
from tiny_vla import noise

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.ddim import DdimConfig, sample_chunk
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.small_divla import SmallDivla, SmallDivlaConfig, UnetSizes
from dvla_ros.training.batch import Batch, Targets
from dvla_ros.training.batch import losses as all_losses
from dvla_ros.training.learner import SmallReasoningLearner
from dvla_ros.training.objectives.diffusion_vla import DiffusionVlaObjective, DiffusionVlaObjectiveConfig

FRAMES, END = 4, 1
CONFIG = SmallDivlaConfig(
    perception=PerceptionConfig(image_width=32, image_height=24, text_tokens=3, width=32, keypoints=2),
    heads=4,
    layers=1,
    horizon=4,
    action_dim=2,
    vocabulary=9,
    reasoning_length=4,
    unet1d=UnetSizes(down_dims=(32, 64), step_width=16),
)


def network(**changes):
    torch.manual_seed(0)
    return SmallDivla(replace(CONFIG, **changes))


@pytest.fixture
def batch():
    torch.manual_seed(1)
    reasoning = torch.tensor([[3, 5, 7, END], [4, END, -1, -1], [3, 6, END, -1], [8, 8, 2, END]])
    return Batch(
        images=torch.rand(FRAMES, 2, 3, 24, 32) * 255,
        text=torch.randn(FRAMES, 3, 384),
        state=torch.rand(FRAMES, 7) * 2 - 1,
        pixels=torch.rand(FRAMES, 2, 2, 2),
        points=torch.rand(FRAMES, 2, 3) * 2 - 1,
        targets=Targets(torch.rand(FRAMES, 4, 2) * 1.6 - 0.8, reasoning=reasoning),
    )


def losses(model, batch, seed=0, **settings):
    return found_losses(DiffusionVlaObjective(DiffusionVlaObjectiveConfig(**settings)), model, batch, seed)


def found_losses(objective, model, batch, seed):
    return all_losses(objective, SmallReasoningLearner(model), batch, noise(FRAMES, seed))


def drawn(model, batch):
    """Chunks as inference draws them, with their reasoning."""
    prompt = model.prefill(batch.images, batch.text, batch.state)
    answer = model.reason(prompt, END)
    condition = model.encode_condition(model.condition(prompt, answer), batch.state)
    chunk = sample_chunk(model.policy_head, condition, (4, 2), range(FRAMES), config=DdimConfig(inference_steps=10))
    return answer.tokens, chunk.actions


@torch.no_grad()
def chunk_error(model, batch):
    return float((drawn(model, batch)[1] - batch.targets.actions).abs().mean())


def test_a_handful_of_frames_is_learned_word_by_word_and_number_by_number(batch):
    model = network()
    objective = DiffusionVlaObjective(DiffusionVlaObjectiveConfig(draws=8, grounding=0.0, localising=0.0))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    before = chunk_error(model, batch)
    for step in range(100):
        optimiser.zero_grad()
        found_losses(objective, model, batch, step).total.backward()
        optimiser.step()
    tokens = drawn(model.eval(), batch)[0]
    expected = batch.targets.reasoning.masked_fill(batch.targets.reasoning < 0, END)
    assert torch.equal(tokens, expected)
    assert chunk_error(model, batch) < 0.4 * before


def test_the_total_is_the_weighted_sum_of_the_parts(batch):
    found = losses(network(), batch, reasoning=0.5, grounding=0.25, localising=3.0)
    parts = found.parts
    assert set(parts) == {"noise", "reasoning", "grounding", "localising"}
    expected = parts["noise"] + 0.5 * parts["reasoning"] + 0.25 * parts["grounding"] + 3.0 * parts["localising"]
    assert found.total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_loss_of_the_words_leaves_out_what_follows_the_end(batch):
    model = network()
    reasoning = batch.targets.reasoning
    logits = model.teach(batch.images, batch.text, batch.state, reasoning).logits.log_softmax(-1)
    said = [(row, place) for row in range(FRAMES) for place in range(4) if reasoning[row, place] >= 0]
    expected = -sum(logits[row, place, reasoning[row, place]].item() for row, place in said) / len(said)
    assert losses(model, batch).parts["reasoning"].item() == pytest.approx(expected, rel=1e-5)


def test_more_draws_average_the_noise_and_leave_the_words_alone(batch):
    model = network()
    one, many = ([losses(model, batch, seed, draws=draws).parts for seed in range(6)] for draws in (1, 16))
    assert torch.stack([p["noise"] for p in many]).std() < torch.stack([p["noise"] for p in one]).std()
    assert one[0]["reasoning"].item() == pytest.approx(many[0]["reasoning"].item(), rel=1e-6)


def test_rows_that_were_being_executed_are_noised_like_all_others_and_not_taught(batch):
    model, frozen = network(), torch.tensor([0, 1, 4, 2])
    seen = []

    def watch(head, inputs, answer):
        answer.retain_grad()
        seen.append((inputs[0], answer))

    model.policy_head.register_forward_hook(watch)
    losses(model, replace(batch, frozen=frozen), draws=1, reasoning=0.0).parts["noise"].backward()
    (noisy, answer), row = seen[0], torch.arange(4)
    taught = (answer.grad != 0).all(dim=-1)
    assert torch.equal(taught, row >= frozen.unsqueeze(1))
    assert (noisy != batch.targets.actions).all()


def test_the_noise_of_the_free_rows_has_the_same_weight_whatever_is_frozen(batch):
    model = network()
    with torch.no_grad():
        model.policy_head.final_conv[1].weight.zero_()
        model.policy_head.final_conv[1].bias.fill_(2.0)
        still, moving = (
            losses(model, replace(batch, frozen=torch.tensor([d] * FRAMES)), draws=400).parts["noise"].item()
            for d in (0, 2)
        )
    assert still == pytest.approx(5.0, rel=0.03) and moving == pytest.approx(5.0, rel=0.03)  # E(2 - noise)^2


def test_without_reasoning_there_is_only_noise_to_learn(batch):
    tinyvla = network(vocabulary=0, using_film=False)
    silent = replace(batch, targets=replace(batch.targets, reasoning=None))
    found = losses(tinyvla, silent, reason=False)
    assert set(found.parts) == {"noise", "grounding", "localising"}
    found.total.backward()
    assert all(p.grad is not None for p in tinyvla.parameters())


def test_a_perception_that_is_not_trained_has_no_loss(batch):
    model = network()
    model.perception.requires_grad_(False)
    found = losses(model, batch)
    assert set(found.parts) == {"noise", "reasoning"}


def test_targets_without_words_are_refused(batch):
    with pytest.raises(ConfigurationError, match="no reasoning to learn from"):
        losses(network(), replace(batch, targets=replace(batch.targets, reasoning=None)))


@pytest.mark.parametrize("settings", [{"draws": 0}, {"reasoning": -1.0}, {"grounding": -0.1}, {"reason": "no"}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigurationError, match="draws must be 1 or more|reason must be true or false"):
        DiffusionVlaObjectiveConfig(**settings)
