"""The condition of the action head: DiffusionVLA's reasoning injection, written out."""

import pytest
import torch
from torch.nn import functional

from dvla_ros.errors import ConfigurationError, ObservationError
from dvla_ros.models.reasoning_film import ReasoningFilm, ReasoningFilmConfig, TokenRanges

WIDTH, LENGTH = 6, 9


@pytest.fixture
def film():
    torch.manual_seed(0)
    return ReasoningFilm(ReasoningFilmConfig(width=WIDTH))


@pytest.fixture
def trained(film):
    """As after training: scale and shift are not zero any more."""
    with torch.no_grad():
        for parameter in film.reasoning_film.parameters():
            parameter.normal_(std=0.5)
    return film


@pytest.fixture
def hidden():
    return torch.randn(2, LENGTH, WIDTH, generator=torch.Generator().manual_seed(1))


def ranges(*rows: str) -> TokenRanges:
    """p for prompt, r for reasoning, anything else for padding."""
    return TokenRanges(
        torch.tensor([[c == "p" for c in row] for row in rows]), torch.tensor([[c == "r" for c in row] for row in rows])
    )


BOTH = ranges(".ppppprrr", "..pppprrr")


def two_layers(weights, name, x):
    inner = functional.gelu(x @ weights[f"{name}.mlps.0.weight"].T + weights[f"{name}.mlps.0.bias"])
    return inner @ weights[f"{name}.mlps.2.weight"].T + weights[f"{name}.mlps.2.bias"]


def written_out(film, prompt, reasoning):
    """c for one row: prompt `[P, width]`, reasoning `[R, width]`."""
    weights = film.state_dict()
    mean = prompt.mean(dim=0)
    e_in = two_layers(weights, "input_action_proj", mean)
    e_re = two_layers(weights, "reasoning_action_proj", reasoning.mean(dim=0)) if len(reasoning) else torch.zeros(WIDTH)
    scale = weights["reasoning_film.scale_fc.weight"] @ e_re + weights["reasoning_film.scale_fc.bias"]
    shift = weights["reasoning_film.shift_fc.weight"] @ e_re + weights["reasoning_film.shift_fc.bias"]
    return e_in * (1 + scale) + shift + mean


@torch.no_grad()
def test_at_initialisation_the_reasoning_has_no_say(film, hidden):
    for row, prompt in enumerate((hidden[0, 1:6], hidden[1, 2:6])):
        mean = prompt.mean(dim=0)
        expected = two_layers(film.state_dict(), "input_action_proj", mean) + mean
        assert torch.allclose(film(hidden, BOTH)[row], expected, atol=1e-6)


@torch.no_grad()
def test_the_condition_is_the_published_formula(trained, hidden):
    condition = trained(hidden, BOTH)
    assert torch.allclose(condition[0], written_out(trained, hidden[0, 1:6], hidden[0, 6:]), atol=1e-5)
    assert torch.allclose(condition[1], written_out(trained, hidden[1, 2:6], hidden[1, 6:]), atol=1e-5)


@pytest.mark.parametrize("content", [0.0, 1e4, torch.nan])
@torch.no_grad()
def test_what_stands_in_the_padding_changes_nothing(trained, hidden, content):
    before = trained(hidden, BOTH)
    padded = torch.cat([hidden, torch.zeros(2, 3, WIDTH)], dim=1)
    padded[:, LENGTH:] = content
    padded[0, 0] = content
    assert torch.equal(trained(padded, ranges(".ppppprrr...", "..pppprrr...")), before)


@torch.no_grad()
def test_without_reasoning_only_the_biases_of_film_are_left(trained, hidden):
    condition = trained(hidden, ranges("ppppp....", ".ppppprrr"))
    weights = trained.state_dict()
    mean = hidden[0, :5].mean(dim=0)
    e_in = two_layers(weights, "input_action_proj", mean)
    expected = e_in * (1 + weights["reasoning_film.scale_fc.bias"]) + weights["reasoning_film.shift_fc.bias"] + mean
    assert torch.allclose(condition[0], expected, atol=1e-5)
    assert torch.allclose(condition[1], written_out(trained, hidden[1, 1:6], hidden[1, 6:]), atol=1e-5)


def test_an_empty_reasoning_sends_no_nan_into_the_gradients(trained, hidden):
    trained(hidden, ranges("ppppp....", "ppppp....")).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in trained.parameters())
    assert trained.reasoning_action_proj.mlps[0].weight.grad.abs().max() == 0


def test_gradients_reach_every_parameter(trained, hidden):
    trained(hidden, BOTH).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in trained.parameters())


@torch.no_grad()
def test_without_film_the_condition_is_the_mean_of_all_hidden_states(hidden):
    plain = ReasoningFilm(ReasoningFilmConfig(width=WIDTH, using_film=False))
    assert plain.state_dict() == {}
    expected = torch.stack([hidden[0, 1:].mean(dim=0), hidden[1, 2:].mean(dim=0)])
    assert torch.allclose(plain(hidden, BOTH), expected, atol=1e-6)


@torch.no_grad()
def test_long_prompts_are_averaged_in_single_precision():
    plain = ReasoningFilm(ReasoningFilmConfig(width=1, using_film=False))
    hidden = torch.ones(1, 4096, 1, dtype=torch.bfloat16)  # a bfloat16 sum would stop growing at 256
    mean = plain(hidden, TokenRanges(torch.ones(1, 4096).bool(), torch.zeros(1, 4096).bool()))
    assert mean.dtype == torch.bfloat16
    assert mean.item() == 1.0


def test_the_parameters_have_their_published_names(film):
    assert set(film.state_dict()) == {
        f"{name}.{kind}"
        for name in (
            "input_action_proj.mlps.0",
            "input_action_proj.mlps.2",
            "reasoning_action_proj.mlps.0",
            "reasoning_action_proj.mlps.2",
            "reasoning_film.scale_fc",
            "reasoning_film.shift_fc",
        )
        for kind in ("weight", "bias")
    }


def test_labels_split_the_tokens_at_the_first_answer():
    ignored = -100
    labels = torch.tensor(
        [
            [ignored, ignored, ignored, 7, 8, ignored],  # padded left; an ignored label inside the answer stays answer
            [ignored, ignored, 7, 8, 9, ignored],  # padded right
            [ignored] * 6,  # no answer
        ]
    )
    attended = torch.tensor([[0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]])
    split, expected = TokenRanges.from_labels(labels, attended), ranges(".pprrr", "pprrr.", "pppppp")
    assert torch.equal(split.prompt, expected.prompt)
    assert torch.equal(split.reasoning, expected.reasoning)


def test_a_row_without_prompt_is_refused(film, hidden):
    with pytest.raises(ObservationError, match="no prompt token"):
        film(hidden, ranges("ppppp....", "......rrr"))


def test_a_width_of_zero_is_refused():
    with pytest.raises(ConfigurationError, match="width must be 1 or more, got 0"):
        ReasoningFilmConfig(width=0)
