"""What is measured."""

from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.evaluation.decode.cases import SYSTEMS, cases

PLANS = (CachePlan(), CachePlan("prefix"), CachePlan("dllm"))


def test_a_reused_prefix_is_left_out_where_it_is_exact():
    found = list(cases(["dd_vla"], ["small"], ["block_causal", "released"], PLANS))
    assert [case.attention for case in found] == ["block_causal", "full"]
    assert [[plan.name for plan in case.plans] for case in found] == [["exact", "dllm"], ["exact", "prefix", "dllm"]]


def test_a_reasoning_system_is_exact():
    (case,) = cases(["diffusion_vla"], ["true"], ["block_causal", "released"], PLANS)
    assert [plan.name for plan in case.plans] == ["exact"]


def test_every_system_has_a_case_of_every_size():
    found = list(cases(SYSTEMS, ["small", "true", "shipped"], ["released"], PLANS))
    assert {(case.system, case.size) for case in found} == {
        (system, size) for system in SYSTEMS for size in ("small", "true", "shipped")
    }


def test_ud_vla_has_all_its_steps_at_true_size():
    true, small = (next(iter(cases(["ud_vla"], [size], ["released"], PLANS))) for size in ("true", "small"))
    assert not true.deployment.decoding and small.deployment.decoding
