"""Whatever chunks come, and whatever else happens: no command leaves its limits, and nothing is raised."""

from hypothesis import given, settings
from hypothesis import strategies as st

from dvla_ros.evaluation.fuzz_run import FuzzRun


@settings(max_examples=15)
@given(st.integers(0, 2**63 - 1))
def test_no_chunk_leads_to_a_command_outside_the_limits_or_to_an_exception(seed: int) -> None:
    report = FuzzRun((seed,), chunks=40).run()
    assert report.is_clean, report.examples
    assert report.chunks == 40
    assert report.commands > 0 or not report.accepted


def test_a_run_follows_from_its_seed() -> None:
    first, second = (FuzzRun((5, 3), chunks=60).run() for _ in range(2))
    assert first == second


def test_sound_chunks_are_accepted_and_others_refused_for_many_reasons() -> None:
    report = FuzzRun((0, 1), chunks=300).run()
    assert report.accepted > 0
    assert len(report.rejected) > 8
