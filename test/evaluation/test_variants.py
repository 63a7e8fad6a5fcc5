"""Every variant is one that its system can run."""

import pytest

from dvla_ros.denoising.registry import override
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.variants import REPAIR_VARIANTS, SYSTEM_VARIANTS, Variant, chosen
from dvla_ros.policies.ddim_decoding import ddim_decoding
from dvla_ros.policies.systems import SYSTEMS, system_named
from dvla_ros.policies.token_system import TokenSystem
from dvla_ros.simulation.tasks import tasks_of


@pytest.mark.parametrize("variant", (*SYSTEM_VARIANTS, *REPAIR_VARIANTS), ids=lambda variant: variant.name)
def test_the_systems_decoder_takes_the_settings(variant):
    system = system_named(variant.system)
    if isinstance(system, TokenSystem):
        override(system.decoding, variant.decoding)
    else:
        ddim_decoding({**system.decoding, **variant.decoding})
    assert tasks_of(variant.tasks)


@pytest.mark.parametrize("variants", [SYSTEM_VARIANTS, REPAIR_VARIANTS])
def test_names_are_told_apart(variants):
    assert len({variant.name for variant in variants}) == len(variants)


def test_no_two_variants_are_the_same():
    settings = [
        (v.system, v.tasks, str(sorted(override(SYSTEMS[v.system].decoding, v.decoding).items())))
        for v in SYSTEM_VARIANTS
        if v.system != "diffusion_vla"
    ]
    assert len(set(settings)) == len(settings)


def test_every_system_is_there_with_its_own_decoder():
    assert {v.name for v in SYSTEM_VARIANTS if not v.decoding and not v.tasks} == set(SYSTEMS)


def test_patterns_choose_in_the_order_of_the_list():
    names = [v.name for v in chosen(SYSTEM_VARIANTS, "dfm_vla*, dd_vla.steps_0[12]")]
    assert names[0] == "dfm_vla"
    assert "dd_vla.steps_01" in names and "dd_vla.steps_03" not in names
    with pytest.raises(ConfigurationError, match="No variant is called 'nobody'"):
        chosen(SYSTEM_VARIANTS, "nobody")


def test_the_checkpoint_is_that_of_the_system():
    assert str(Variant("dd_vla.steps", "").checkpoint("runs/{system}/last")) == "runs/dd_vla/last"


@pytest.mark.parametrize("name", ["dd_vla/steps", "dd_vla.a.b", ""])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(ConfigurationError, match="system.what_differs"):
        Variant(name, "")
