"""Positions of a prompt: by the definition, and as `transformers` counts them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import Qwen2VLConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel

from dvla_ros.errors import ObservationError
from dvla_ros.models.qwen2_vl_positions import Grid, sequence_positions

IMAGE, WORD = 9, 1


def sequence(grids: list[Grid], words: list[int], merge: int = 2) -> list[int]:
    """Words before, between and after the images."""
    ids = [WORD] * words[0]
    for grid, after in zip(grids, words[1:], strict=True):
        ids += [IMAGE] * (grid.total // merge**2) + [WORD] * after
    return ids


def test_one_image_between_words():
    positions = sequence_positions(sequence([Grid(1, 4, 6)], [2, 2]), [Grid(1, 4, 6)], IMAGE, 2)
    assert positions.tolist() == [
        [0, 1, 2, 2, 2, 2, 2, 2, 5, 6],
        [0, 1, 2, 2, 2, 3, 3, 3, 5, 6],
        [0, 1, 2, 3, 4, 2, 3, 4, 5, 6],
    ]


def test_words_alone_count_alike_in_all_three():
    assert sequence_positions([WORD] * 4, [], IMAGE, 2).tolist() == [[0, 1, 2, 3]] * 3


class OnlyPositions(Qwen2VLModel):
    """Their counting without their weights."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.config = Qwen2VLConfig(vision_config={"spatial_merge_size": 2})


@settings(max_examples=50)
@given(st.data())
def test_any_prompt_is_counted_as_in_transformers(data):
    side = st.integers(1, 5).map(lambda n: 2 * n)
    grids = data.draw(st.lists(st.builds(Grid, st.just(1), side, side), min_size=1, max_size=4))
    words = data.draw(st.lists(st.integers(1, 5), min_size=len(grids) + 1, max_size=len(grids) + 1))
    ids = torch.tensor([sequence(grids, words)])
    expected, delta = OnlyPositions().get_rope_index(ids, (ids == IMAGE).int(), image_grid_thw=torch.tensor(grids))
    positions = sequence_positions(ids[0].tolist(), grids, IMAGE, 2)
    assert positions.tolist() == expected[:, 0].tolist()
    assert int(positions.max()) + 1 == ids.shape[1] + int(delta)


@pytest.mark.parametrize(
    ("ids", "grids"),
    [
        ([WORD, IMAGE, WORD], [Grid(1, 4, 4)]),  # too few
        ([WORD, IMAGE, IMAGE, WORD], [Grid(1, 2, 2)]),  # too many
        ([WORD, WORD], [Grid(1, 2, 2)]),  # none
        ([WORD, IMAGE], []),  # no image
    ],
)
def test_image_tokens_that_are_not_those_of_the_images_are_refused(ids, grids):
    with pytest.raises(ObservationError, match="image tokens"):
        sequence_positions(ids, grids, IMAGE, 2)
