"""A segment's tokens go in and its own logits come out."""

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.canvas_io import SegmentIO, SegmentSizes

SIZES = SegmentSizes("action", 2, 3, 5)


def test_every_id_beyond_the_vocabulary_is_the_mask_token():
    part = SegmentIO(SIZES, 8)
    masked, elsewhere = torch.full((1, 6), 5), torch.full((1, 6), 90)
    assert torch.equal(part.embed(masked), part.embed(elsewhere))
    assert not torch.equal(part.embed(masked), part.embed(torch.full((1, 6), 4)))


def test_equal_tokens_at_different_places_are_told_apart():
    embedded = SegmentIO(SIZES, 8).embed(torch.zeros(1, 6, dtype=torch.int64))[0]
    assert (torch.cdist(embedded, embedded) + torch.eye(6)).min() > 1e-3


def test_logits_of_other_segments_ids_are_impossible():
    logits = SegmentIO(SIZES, 8).logits(torch.randn(2, 6, 8), vocabulary=9)
    assert logits.shape == (2, 6, 9)
    assert torch.isfinite(logits[..., :5]).all() and (logits[..., 5:] == -torch.inf).all()


def test_neighbouring_ids_of_an_ordered_segment_resemble_each_other():
    table = SegmentIO(SegmentSizes("action", 1, 1, 256), 16).token.weight[:-1]
    neighbours = (table[1:] - table[:-1]).norm(dim=1).mean()
    assert neighbours < 0.3 * torch.cdist(table, table).mean()


def test_a_fixed_metric_is_the_same_in_every_network_and_not_trained():
    sizes = SegmentSizes("action", 1, 4, 9, trained=False)
    first, second = SegmentIO(sizes, 16), SegmentIO(sizes, 16)
    assert torch.equal(first.token.weight, second.token.weight)
    assert not first.token.weight.requires_grad and first.head.weight.requires_grad


def test_a_decoder_sees_the_same_segment():
    segment = SegmentSizes("action", 1, 3, 5, prefilled=(4, -1, -1)).segment
    assert (segment.name, segment.length, segment.vocabulary, segment.prefilled) == ("action", 3, 5, (4, -1, -1))


@pytest.mark.parametrize("sizes", [(0, 3, 5), (2, 3, 1)])
def test_sizes_that_cannot_be_are_refused(sizes):
    with pytest.raises(ConfigurationError, match="needs steps and dims"):
        SegmentSizes("action", *sizes)
