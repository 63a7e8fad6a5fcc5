"""The network says the same whether it is told its words at once or finds them one by one, and acts on them."""

from dataclasses import replace

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.models.scale_dp import ScaleDP
from dvla_ros.models.small_divla import Answer, ScaleDPSizes, SmallDivla, SmallDivlaConfig, UnetSizes
from dvla_ros.models.unet1d import ConditionalUnet1D

END = 1
CONFIG = SmallDivlaConfig(
    perception=PerceptionConfig(image_width=32, image_height=24, text_tokens=5, width=24, keypoints=4),
    heads=3,
    layers=2,
    horizon=4,
    vocabulary=12,
    reasoning_length=6,
    unet1d=UnetSizes(down_dims=(8, 16), step_width=8),
    scale_dp=ScaleDPSizes(depth=1, width=16, heads=2, mlp_ratio=2, combine_width=16),
)


def network(**changes):
    torch.manual_seed(0)
    return SmallDivla(replace(CONFIG, **changes)).eval()


@pytest.fixture
def divla():
    return network()


def steps_of(net, prompt, tokens):
    """Logits of each word given those before it, one at a time without a cache: the prompt is run again every time."""
    width = prompt.hidden.shape[2]
    inputs = torch.cat([prompt.percept.tokens, net.begin.expand(len(tokens), 1, width)], dim=1)
    asked, logits, states = inputs.shape[1], [], []
    for count in range(tokens.shape[1] + 1):
        said = net.words(tokens[:, :count]) + net.word_position[:count]
        length = asked + count
        mask = torch.ones(length, length, dtype=torch.bool).tril()
        mask[:asked, :asked] = True
        hidden = net.trunk(torch.cat([inputs, said], dim=1), mask)
        logits.append(net.word_head(hidden[:, -1]))
        states.append(hidden[:, -1])
    return torch.stack(logits, 1), torch.stack(states[1:], 1)


@torch.no_grad()
def test_teaching_gives_each_word_the_logits_it_has_when_words_come_one_by_one(divla, observation):
    reasoning = torch.tensor([[4, 7, 2, END], [5, END, -1, -1]])
    taught = divla.teach(*observation, reasoning)
    expected, _ = steps_of(divla, divla.prefill(*observation), reasoning.clamp_min(0))
    assert taught.logits.shape == (2, 4, CONFIG.vocabulary)
    assert torch.allclose(taught.logits, expected[:, :4], atol=1e-5)


@torch.no_grad()
def test_reasoning_takes_the_likeliest_word_each_time(divla, observation):
    prompt = divla.prefill(*observation)
    answer = divla.reason(prompt, end=-5)  # never said, so that all 6 words come
    expected, states = steps_of(divla, prompt, answer.tokens[:, :-1])
    assert answer.tokens.shape == (2, 6) and answer.evaluations == 5
    assert torch.equal(answer.tokens, expected.argmax(dim=-1))
    assert torch.allclose(answer.hidden, states, atol=1e-5)


@torch.no_grad()
def test_the_condition_is_the_same_in_training_and_in_inference(divla, observation):
    answer = divla.reason(divla.prefill(*observation), end=-5, max_tokens=4)
    answer = replace(answer, tokens=answer.tokens.clone())
    answer.tokens[:, -1] = END  # the last word is not run, so that the end may take its place
    taught = divla.teach(*observation, answer.tokens)
    torch.nn.init.normal_(divla.film.reasoning_film.scale_fc.weight)  # a fresh FiLM ignores the reasoning
    moved = divla.teach(*observation, answer.tokens).condition
    assert not torch.allclose(moved, taught.condition)
    assert torch.allclose(divla.condition(divla.prefill(*observation), answer), moved, atol=1e-5)


@torch.no_grad()
def test_pooling_the_end_as_released_gives_training_one_state_that_inference_lacks(observation):
    consistent, released = network(), network(pool_end=True)
    reasoning = torch.tensor([[4, 7, END, -1], [5, END, -1, -1]])
    for net in (consistent, released):
        torch.manual_seed(1)
        torch.nn.init.normal_(net.film.reasoning_film.shift_fc.weight)
    assert not torch.allclose(
        consistent.teach(*observation, reasoning).condition, released.teach(*observation, reasoning).condition
    )


@torch.no_grad()
def test_padding_behind_an_answer_changes_nothing(divla, observation):
    short = torch.tensor([[4, 7, END], [5, 3, END]])
    long = torch.nn.functional.pad(short, (0, 3), value=-1)
    first, second = divla.teach(*observation, short), divla.teach(*observation, long)
    assert torch.allclose(first.logits, second.logits[:, :3], atol=1e-5)
    assert torch.allclose(first.condition, second.condition, atol=1e-5)


@torch.no_grad()
def test_rows_end_on_their_own(divla, observation):
    prompt = divla.prefill(*observation)
    first = divla.reason(prompt, end=-5).tokens
    ends = int(first[0, 1])  # row 0 says this second
    answer = divla.reason(prompt, end=ends)
    assert answer.tokens[0].tolist() == [int(first[0, 0])] + [ends] * (answer.tokens.shape[1] - 1)
    assert answer.pooled[0].tolist() == [True] + [False] * (answer.evaluations - 1)
    alone = divla.reason(divla.prefill(*(part[1:] for part in observation)), end=ends).tokens
    assert answer.tokens[1, : alone.shape[1]].tolist() == alone[0].tolist()


@torch.no_grad()
def test_an_immediate_end_is_an_answer_without_words(divla, observation):
    with torch.no_grad():
        divla.word_head.bias[END] = 1e3
    prompt = divla.prefill(*observation)
    answer = divla.reason(prompt, end=END)
    assert answer.tokens.tolist() == [[END], [END]] and answer.evaluations == 0
    assert torch.equal(divla.condition(prompt, answer), divla.condition(prompt, None))


@torch.no_grad()
def test_reasoning_stops_when_asked(divla, observation):
    asked = iter([False, False, True])
    answer = divla.reason(divla.prefill(*observation), end=-5, stop=lambda: next(asked))
    assert answer.tokens.shape == (2, 3) and answer.evaluations == 2


@torch.no_grad()
def test_without_film_the_condition_is_the_mean_of_all_states(observation):
    net = network(using_film=False)
    prompt = net.prefill(*observation)
    hidden = torch.randn(2, 3, CONFIG.perception.width)
    answer = Answer(torch.zeros(2, 4, dtype=torch.int64), hidden, torch.tensor([[True] * 3, [True, False, False]]))
    condition = net.condition(prompt, answer)
    assert torch.allclose(condition[0], torch.cat([prompt.hidden[0], hidden[0]]).mean(0), atol=1e-5)
    assert torch.allclose(condition[1], torch.cat([prompt.hidden[1], hidden[1, :1]]).mean(0), atol=1e-5)


@torch.no_grad()
def test_a_network_without_words_acts_all_the_same(observation):
    net = network(vocabulary=0, using_film=False)
    prompt = net.prefill(*observation)
    assert torch.allclose(net.condition(prompt, None), prompt.hidden.mean(1), atol=1e-5)
    with pytest.raises(ConfigurationError, match="cannot reason"):
        net.reason(prompt, end=END)
    assert not [name for name in net.state_dict() if "word" in name]


@torch.no_grad()
@pytest.mark.parametrize(("head", "kind"), [("unet1d", ConditionalUnet1D), ("scale_dp", ScaleDP)])
def test_either_head_predicts_noise_of_the_chunks_shape(observation, head, kind):
    net = network(head=head)
    condition = net.encode_condition(net.condition(net.prefill(*observation), None), observation[2])
    noise = net.policy_head(torch.randn(2, 4, 7), torch.tensor([3, 90]), condition)
    assert isinstance(net.policy_head, kind) and noise.shape == (2, 4, 7)


def test_the_shipped_size_stays_small():
    net = SmallDivla(SmallDivlaConfig())
    shared = {id(p) for part in (net.perception, net.trunk) for p in part.parameters()}
    assert sum(p.numel() for p in net.parameters() if id(p) not in shared) < 1.5e6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": "mlp"}, "head must be one of"),
        ({"horizon": 5}, "multiple of 2"),
        ({"heads": 5}, "24 and 5"),
        ({"vocabulary": 0}, "using_film=False"),
        ({"reasoning_length": 0}, "1 or more"),
        ({"noise_levels": 0}, "train_steps must be 1 or more"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ConfigurationError, match=words):
        replace(CONFIG, **changes)


@pytest.mark.parametrize("max_tokens", [0, 7])
def test_more_words_than_the_network_was_made_for_are_refused(divla, observation, max_tokens):
    with pytest.raises(ConfigurationError, match=rf"1\.\.6, got {max_tokens}"):
        divla.reason(divla.prefill(*observation), END, max_tokens)
