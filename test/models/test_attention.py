"""Who sees whom, against masks written out by hand and rules followed position by position."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.attention import (
    VARIANTS,
    Block,
    Levels,
    all_rows,
    attention_mask,
    causal_mask,
    prefix_is_exact,
    rows_that_differ,
    visibility,
)

TEXT, NOW, FUTURE, ACTION = 0, 1, 2, 3
UNIFIED = (Block(3, TEXT, causal=True), Block(2, NOW), Block(2, FUTURE), Block(3, ACTION))
TWO_VIEWS = (
    Block(2, TEXT, causal=True),
    Block(2, NOW),
    Block(1, NOW),
    Block(1, FUTURE),
    Block(1, FUTURE),
    Block(2, ACTION),
)


def drawn(picture: str) -> torch.Tensor:
    """A mask from a picture with x where a query (row) sees a key (column)."""
    return torch.tensor([[mark == "x" for mark in row] for row in picture.split()])


def test_merged_makes_images_and_actions_one_block_that_text_does_not_see():
    expected = drawn("""
        x.........
        xx........
        xxx.......
        xxxxxxxxxx
        xxxxxxxxxx
        xxxxxxxxxx
        xxxxxxxxxx
        xxxxxxxxxx
        xxxxxxxxxx
        xxxxxxxxxx
    """)
    assert torch.equal(visibility(Levels.of(UNIFIED), "merged"), expected)


def test_block_causal_sees_its_own_level_and_below():
    expected = drawn("""
        x.........
        xx........
        xxx.......
        xxxxx.....
        xxxxx.....
        xxxxxxx...
        xxxxxxx...
        xxxxxxxxxx
        xxxxxxxxxx
        xxxxxxxxxx
    """)
    assert torch.equal(visibility(Levels.of(UNIFIED), "block_causal"), expected)


def test_image_causal_first_keeps_the_first_images_causal_and_merges_the_later_ones():
    expected = drawn("""
        x........
        xx.......
        xxxx.....
        xxxx.....
        xxxxx....
        xxxxxxxxx
        xxxxxxxxx
        xxxxxxxxx
        xxxxxxxxx
    """)
    assert torch.equal(visibility(Levels.of(TWO_VIEWS), "image_causal_first"), expected)


def test_what_follows_a_committed_end_of_action_is_text_that_nobody_before_it_sees():
    is_end = torch.zeros(10, dtype=torch.bool)
    is_end[[7, 8]] = True  # the first end counts
    expected = drawn("""
        x.........
        xx........
        xxx.......
        xxxxxxxx..
        xxxxxxxx..
        xxxxxxxx..
        xxxxxxxx..
        xxxxxxxx..
        xxxxxxxxx.
        xxxxxxxxxx
    """)
    assert torch.equal(visibility(Levels.of(UNIFIED).ending_after(is_end), "merged"), expected)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_end_of_action_in_one_row_leaves_the_other_rows_alone(variant: str):
    levels = Levels.of(UNIFIED)
    is_end = torch.zeros(2, 10, dtype=torch.bool)
    is_end[0, 8] = True
    masks = visibility(levels.ending_after(is_end), variant)
    assert torch.equal(masks[0], visibility(levels.ending_after(is_end[0]), variant))
    assert torch.equal(masks[1], visibility(levels, variant))


blocks = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=5)


def sees_in_full(levels: Levels, query: int, key: int) -> bool:
    return True


def sees_in_merged(levels: Levels, query: int, key: int) -> bool:
    """Count the borders between text and other things on the way from one to the other."""
    causal = levels.causal.tolist()
    first, last = min(query, key), max(query, key)
    borders = sum(causal[i] != causal[i + 1] for i in range(first, last))
    if borders == 0:
        return not causal[query] or key <= query
    return key < query


def sees_in_block_causal(levels: Levels, query: int, key: int) -> bool:
    if levels.level[key] != levels.level[query]:
        return bool(levels.level[key] < levels.level[query])
    return not levels.causal[query] or key <= query


def sees_in_image_causal_first(levels: Levels, query: int, key: int) -> bool:
    if key <= query:
        return True
    if levels.causal[query] or levels.causal[key]:
        return False
    first = min(level for level, text in zip(levels.level.tolist(), levels.causal.tolist(), strict=True) if not text)
    same_block = levels.block[query] == levels.block[key]
    return bool(same_block or (levels.level[query] > first and levels.level[key] > first))


RULES: dict[str, Callable[[Levels, int, int], bool]] = {
    "full": sees_in_full,
    "merged": sees_in_merged,
    "block_causal": sees_in_block_causal,
    "image_causal_first": sees_in_image_causal_first,
}


@pytest.mark.parametrize("variant", VARIANTS)
@settings(max_examples=40, deadline=None)
@given(described=blocks, padded=st.sets(st.integers(0, 14)))
def test_masks_follow_the_rules_for_any_sequence(variant: str, described: list, padded: set[int]):
    levels = Levels.of([Block(*block) for block in described])
    length = len(levels.level)
    levels = levels.with_padding(torch.tensor([i in padded for i in range(length)]))
    mask = visibility(levels, variant)
    for query in range(length):
        for key in range(length):
            rule = RULES[variant](levels, query, key) and key not in padded
            assert bool(mask[query, key]) == (rule or (query == key and key in padded))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("queries", [slice(5, None), slice(2, 7), slice(-3, None)])
def test_the_rows_of_some_queries_are_those_of_the_whole(variant: str, queries: slice):
    padding = torch.tensor([[False] * 10, [True] * 2 + [False] * 8])
    levels = Levels.of(UNIFIED).with_padding(padding).ending_after(torch.arange(10) == 8)
    assert torch.equal(visibility(levels, variant, queries), visibility(levels, variant)[:, queries])


@pytest.mark.parametrize(
    ("variant", "settled", "differ"),
    [("block_causal", 5, 3), ("block_causal", 3, 7), ("merged", 3, 7), ("image_causal_first", 5, 5)],
)
def test_only_actions_need_rows_where_future_images_see_all_before_them(variant: str, settled: int, differ: int):
    levels = Levels.of(UNIFIED)
    assert rows_that_differ(levels, variant, settled, last=3) == differ
    for end in (None, 7, 8):
        ended = levels if end is None else levels.ending_after(torch.arange(10) == end)
        mask = visibility(ended, variant, slice(-differ, None))
        assert torch.equal(all_rows(mask, 10 - settled), visibility(ended, variant)[settled:])


def test_full_hides_nothing_but_padding():
    padding = torch.tensor([[False] * 10, [True] * 2 + [False] * 8])
    mask = visibility(Levels.of(UNIFIED).with_padding(padding), "full")
    assert mask[0].all()
    assert mask[1, 2:, 2:].all()
    assert not mask[1, 2:, :2].any()


def test_no_mask_is_made_where_everything_is_visible():
    levels = Levels.of(UNIFIED)
    assert attention_mask(levels, "full") is None
    assert attention_mask(levels, "block_causal", queries=slice(7, None)) is None
    assert attention_mask(levels, "block_causal", queries=slice(5, 7), keys=slice(0, 7)) is None
    assert attention_mask(levels, "block_causal", queries=slice(5, None)) is not None


def test_the_mask_of_a_canvas_is_its_rows():
    levels = Levels.of(UNIFIED)
    mask = attention_mask(levels, "block_causal", queries=slice(5, None))
    assert mask is not None
    assert torch.equal(mask, visibility(levels, "block_causal")[5:])


@pytest.mark.parametrize(
    ("variant", "prefix_length", "exact"),
    [
        ("block_causal", 3, True),
        ("block_causal", 5, True),
        ("block_causal", 6, False),
        ("merged", 3, True),
        ("merged", 5, False),
        ("full", 3, False),
        ("full", 10, True),
    ],
)
def test_a_cached_prefix_is_exact_where_it_sees_nothing_later(variant: str, prefix_length: int, exact: bool):
    """UD-VLA: text is exact under the released mask and images are not; both are under the paper's."""
    assert prefix_is_exact(Levels.of(UNIFIED), variant, prefix_length) is exact


def test_the_causal_mask_is_for_the_last_queries():
    assert torch.equal(causal_mask(2, 4), drawn("xxx. xxxx"))
    assert causal_mask(1, 4) is None


def test_an_unknown_variant_is_refused():
    with pytest.raises(ConfigurationError, match="Unknown attention variant 'half'"):
        visibility(Levels.of(UNIFIED), "half")


def test_a_block_of_negative_length_is_refused():
    with pytest.raises(ConfigurationError, match="length=-1"):
        Block(-1, 0)
