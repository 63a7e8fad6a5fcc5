"""What a denoising step must do with each plan."""

from dataclasses import replace

import pytest

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.evaluation.decode.step_work import (
    HeadShape,
    SequenceShape,
    chunk_work,
    published_step_work,
    step_work,
)
from dvla_ros.evaluation.decode.trunk_work import head_work, pass_work, trunk_bytes
from dvla_ros.evaluation.decode.work import Work
from dvla_ros.models.trunk import TrunkConfig

TINY = TrunkConfig(width=8, layers=2, heads=4, kv_heads=2, intermediate=10)
SETTLED = SequenceShape(TINY, prefix=20, settled=20, run=6, heads=(HeadShape(6, 16),), vocabulary=100, number_bytes=4)
OPEN = replace(SETTLED, settled=0)
EXACT, PREFIX = CachePlan(), CachePlan("prefix")


def test_behind_a_settled_prefix_a_step_runs_the_canvas_alone():
    assert step_work(SETTLED, EXACT, 3) == pass_work(TINY, 6, 26, 4) + head_work(8, 16, 6, 4)
    assert step_work(SETTLED, PREFIX, 3) == step_work(SETTLED, EXACT, 3)


def test_a_prefix_that_sees_the_canvas_runs_in_every_exact_step_and_once_when_it_is_reused():
    whole = pass_work(TINY, 26, 26, 4, last=6) + head_work(8, 16, 6, 4)
    assert step_work(OPEN, EXACT, 5) == step_work(OPEN, PREFIX, 0) == whole
    assert step_work(OPEN, PREFIX, 5) == step_work(SETTLED, EXACT, 5)


def test_the_published_way_runs_everything_and_the_whole_head():
    assert published_step_work(SETTLED) == pass_work(TINY, 26, 26, 4) + head_work(8, 100, 6, 4)


def test_dllm_computes_prefix_and_canvas_now_and_then_and_a_share_in_between():
    plan = CachePlan("dllm", prompt_interval=4, canvas_interval=2, ratio=0.5)
    head, values = head_work(8, 16, 6, 4), Work(0.0, 2.0 * 2 * 32 * 6)
    assert step_work(OPEN, plan, 0) == pass_work(TINY, 26, 26, 4) + head
    assert step_work(OPEN, plan, 1) == pass_work(TINY, 3, 26, 4) + values + head
    assert step_work(OPEN, plan, 2) == pass_work(TINY, 6, 26, 4) + head


def test_dllm_without_a_share_reads_the_projections_to_values_alone():
    plan = CachePlan("dllm", 9, 9, 0.0)
    assert step_work(OPEN, plan, 1).nbytes == 2 * 32 * 4 + head_work(8, 16, 6, 4).nbytes


def test_a_chunk_has_as_many_passes_as_steps():
    assert list(chunk_work(OPEN, PREFIX, 3)) == [step_work(OPEN, PREFIX, step) for step in range(3)]


def test_a_step_of_ud_vla_is_about_13_tera_operations_and_bound_by_them():
    """817 positions of the canvas behind 753, Emu3 8B, image rows of the head."""
    heads = (HeadShape(747, 32_775), HeadShape(70, 1025))
    emu = SequenceShape(TrunkConfig.emu3_8b(), 753, 753, 817, heads, 184_622, 2)
    step = step_work(emu, EXACT, 0)
    assert step.flop == pytest.approx(13e12, rel=0.08)
    assert step.nbytes > trunk_bytes(emu.trunk, 2)
