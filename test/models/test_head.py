"""Chosen rows of the head give the same logits as all rows, sliced."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.head import SlicedHead, TokenRows

VOCABULARY, WIDTH = 40, 12


def head_and_hidden(bias: bool = False) -> tuple[SlicedHead, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = nn.Parameter(torch.randn(VOCABULARY, WIDTH, generator=generator))
    vector = nn.Parameter(torch.randn(VOCABULARY, generator=generator)) if bias else None
    return SlicedHead(weight, vector), torch.randn(2, 5, WIDTH, generator=generator)


@settings(max_examples=50, deadline=None)
@given(ids=st.lists(st.integers(0, VOCABULARY - 1), min_size=1, unique=True), bias=st.booleans())
def test_logits_of_some_rows_are_a_slice_of_all_logits(ids: list[int], bias: bool):
    head, hidden = head_and_hidden(bias)
    everything = hidden @ head.weight.T + (head.bias if bias else 0)
    assert torch.allclose(head(hidden, TokenRows(tuple(ids))), everything[..., ids], atol=1e-5)


def test_ranges_and_single_ids_stand_one_behind_the_other():
    rows = TokenRows.of(range(30, 35), 9, range(2, 4))
    assert rows.ids == (30, 31, 32, 33, 34, 9, 2, 3)
    assert rows.runs == (slice(30, 35), slice(9, 10), slice(2, 4))


def test_only_the_rows_asked_for_are_read():
    """Rows of NaN would spoil whatever multiplies or adds them."""
    head, hidden = head_and_hidden()
    with torch.no_grad():
        head.weight[:30] = torch.nan
        head.weight[35:] = torch.nan
    assert torch.isfinite(head(hidden, TokenRows.of(range(30, 35)))).all()


def test_gradients_reach_the_rows_asked_for_and_no_other():
    head, hidden = head_and_hidden()
    head(hidden, TokenRows.of(range(30, 35), 3)).sum().backward()
    touched = head.weight.grad.abs().sum(dim=1) > 0
    assert touched.nonzero().flatten().tolist() == [3, 30, 31, 32, 33, 34]


def test_a_tied_head_follows_the_embedding():
    embedding, (_, hidden) = nn.Embedding(VOCABULARY, WIDTH), head_and_hidden()
    head = SlicedHead(embedding.weight)
    with torch.no_grad():
        embedding.weight.fill_(2.0)
    assert torch.allclose(head(hidden, TokenRows.of(7)), 2 * hidden.sum(dim=-1, keepdim=True), atol=1e-5)


@pytest.mark.parametrize("ids", [(), (-1, 3), (4, 5, 4)])
def test_rows_that_make_no_sense_are_refused(ids: tuple[int, ...]):
    with pytest.raises(ConfigurationError, match="different ids of 0 or more"):
        TokenRows(ids)


def test_an_id_beyond_the_vocabulary_is_refused():
    head, hidden = head_and_hidden()
    with pytest.raises(ConfigurationError, match="Token id 40 is not in the vocabulary of 40"):
        head(hidden, TokenRows.of(range(38, 41)))
