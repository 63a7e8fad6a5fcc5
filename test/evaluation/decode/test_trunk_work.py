"""Bytes and operations of a trunk, against numbers counted by hand and against what is dispatched."""

import pytest
import torch

from dvla_ros.evaluation.decode.counted import counted_work
from dvla_ros.evaluation.decode.trunk_work import LayerNumbers, head_work, pass_work, prefill_work, trunk_bytes
from dvla_ros.evaluation.decode.work import Work
from dvla_ros.models.key_value_cache import PrefixCache
from dvla_ros.models.trunk import Trunk, TrunkConfig

TINY = TrunkConfig(width=8, layers=2, heads=4, kv_heads=2, intermediate=10)
"""One layer: q 8x8, k and v 8x4 each, o 8x8, gate, up and down 8x10 each: 64 + 2 * 32 + 64 + 240 = 432 numbers."""


def test_the_numbers_of_a_tiny_layer_are_those_counted_by_hand():
    assert LayerNumbers.of(TINY) == LayerNumbers(queries=64, keys=32, rest=304)
    assert LayerNumbers.of(TINY).total == 432
    assert trunk_bytes(TINY, 2) == 2 * 432 * 2


def test_a_pass_of_three_positions_behind_five_is_the_one_counted_by_hand():
    """Two layers: 432 numbers each for 3 rows, and 8 keys for each row and head twice (scores, values)."""
    work = pass_work(TINY, rows=3, keys=8, number_bytes=4)
    projected, compared = 2 * 432 * 3, 2 * 2 * (3 * 8 * 8)
    assert work.flop == 2 * (projected + compared)
    assert work.nbytes == 2 * 432 * 4 + 2 * (5 * 4 * 2) * 4  # weights; keys and values of 5 positions, 4 numbers each


def test_a_batch_reads_the_weights_once():
    one, two = (pass_work(TINY, 3, 8, 4, batch=batch) for batch in (1, 2))
    assert two.flop == 2 * one.flop
    assert two.nbytes - one.nbytes == 2 * (5 * 4 * 2) * 4


@torch.no_grad()
def test_operations_are_those_that_the_trunk_dispatches():
    trunk, x = Trunk(TINY), torch.randn(1, 7, 8)
    whole = counted_work(lambda: trunk(x))
    assert whole.flop == pass_work(TINY, 7, 7, 4).flop
    assert counted_work(lambda: trunk.prefill(x)).flop == prefill_work(TINY, 7, 4).flop
    last = counted_work(lambda: trunk.decode_last(x, 3, PrefixCache()))
    assert last.flop == pass_work(TINY, 7, 7, 4, last=3).flop


def test_a_step_of_a_7b_trunk_in_bfloat16_reads_about_13_gigabytes():
    """DESIGN §4: two cameras, an instruction and 56 action tokens; 12.95 GB are weights, the rest keys and values."""
    llama = TrunkConfig.llama2_7b()
    step = pass_work(llama, rows=58, keys=600, number_bytes=2) + head_work(4096, 256, 56, 2)
    assert trunk_bytes(llama, 2) == pytest.approx(12.95e9, rel=1e-3)
    assert step.nbytes == pytest.approx(13.5e9, rel=0.03)


def test_a_head_reads_the_rows_that_are_asked_for():
    assert head_work(8, 100, 3, 2) == Work(1600, 2 * 100 * 8 * 3)
