"""Every way to take fewer steps is one that its system can run, and one that is compared with its own decoder."""

import pytest

from dvla_ros.denoising.registry import override
from dvla_ros.evaluation.fewer_steps import OWN, STEP_VARIANTS
from dvla_ros.policies.systems import SYSTEMS


@pytest.mark.parametrize("point", STEP_VARIANTS, ids=lambda point: point.variant.name)
def test_the_systems_decoder_takes_the_settings(point):
    override(SYSTEMS[point.system].decoding, point.variant.decoding)


def test_no_two_points_are_the_same():
    settings = [
        (p.system, p.replanning, str(sorted(override(SYSTEMS[p.system].decoding, p.variant.decoding).items())))
        for p in STEP_VARIANTS
    ]
    assert len(set(settings)) == len(settings) == len({point.variant.name for point in STEP_VARIANTS})


def test_every_point_has_one_own_decoder_to_be_compared_with():
    own = [(point.system, point.going_on) for point in STEP_VARIANTS if point.rule == OWN]
    assert len(set(own)) == len(own)
    assert {(point.system, point.going_on) for point in STEP_VARIANTS} == set(own)


def test_only_the_own_decoder_at_rest_has_no_settings_of_its_own():
    plain = [point for point in STEP_VARIANTS if not point.variant.decoding and not point.going_on]
    assert {point.rule for point in plain} == {OWN}
