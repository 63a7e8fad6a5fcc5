"""Every variant is one that its system can run."""

import shlex

import pytest
import tyro

from dvla_ros.denoising.registry import override
from dvla_ros.errors import ConfigurationError
from dvla_ros.evaluation.comparison_sets import COMPARISONS, variants_of
from dvla_ros.evaluation.variants import REPAIR_VARIANTS, Variant, chosen
from dvla_ros.policies.ddim_decoding import ddim_decoding
from dvla_ros.policies.systems import SYSTEMS, system_named
from dvla_ros.policies.token_system import TokenSystem
from dvla_ros.training.config import TrainConfig

ALL = variants_of(tuple(COMPARISONS))


@pytest.mark.parametrize("variant", (*ALL, *REPAIR_VARIANTS), ids=lambda variant: variant.name)
def test_the_systems_decoder_takes_the_settings(variant):
    system = system_named(variant.system)
    if isinstance(system, TokenSystem):
        override(system.decoding, variant.decoding)
    else:
        ddim_decoding({**system.decoding, **variant.decoding})


def test_names_are_told_apart():
    assert len({variant.name for variant in REPAIR_VARIANTS}) == len(REPAIR_VARIANTS)
    for comparison in COMPARISONS.values():
        assert len({variant.name for variant in comparison.variants}) == len(comparison.variants)


def test_a_name_means_the_same_in_every_set():
    for comparison in COMPARISONS.values():
        for variant in comparison.variants:
            same = next(other for other in ALL if other.name == variant.name)
            assert (variant.decoding, variant.weights) == (same.decoding, same.weights)


def test_no_two_variants_are_the_same():
    settings = [
        (v.system, v.weights, str(sorted(override(SYSTEMS[v.system].decoding, v.decoding).items())))
        for v in ALL
        if v.system != "diffusion_vla"
    ]
    assert len(set(settings)) == len(settings)


def test_every_system_is_there_with_its_own_decoder():
    assert {v.name for v in variants_of(("systems",)) if not v.decoding} == set(SYSTEMS)


def test_patterns_choose_in_the_order_of_the_list():
    names = [v.name for v in chosen(ALL, "dfm_vla*, dd_vla.steps_0[12]")]
    assert names[0] == "dfm_vla"
    assert "dd_vla.steps_01" in names and "dd_vla.steps_03" not in names
    with pytest.raises(ConfigurationError, match="No variant is called 'nobody'"):
        chosen(ALL, "nobody")


def test_weights_of_its_own_come_with_the_command_that_makes_them():
    own = [variant for variant in ALL if variant.weights]
    assert own and all(f"--out {v.weights}" in v.training and v.training.startswith("dvla train") for v in own)
    assert str(own[0].checkpoint("checkpoints/{system}")) == own[0].weights
    for variant in own:
        settings = tyro.cli(tyro.conf.OmitArgPrefixes[TrainConfig], args=shlex.split(variant.training)[2:])
        assert str(settings.out) == variant.weights


def test_a_set_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match="no set 'sizes'.*systems, orders"):
        variants_of(("sizes",))


def test_the_checkpoint_is_that_of_the_system():
    assert str(Variant("dd_vla.steps", "").checkpoint("runs/{system}/last")) == "runs/dd_vla/last"


@pytest.mark.parametrize("name", ["dd_vla/steps", "dd_vla.a.b", ""])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(ConfigurationError, match="system.what_differs"):
        Variant(name, "")
