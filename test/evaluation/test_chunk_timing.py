"""The parts of a chunk's way add up."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.evaluation.chunk_timing import ChunkTiming, chunk_timing, percentiles

DURATION = st.floats(0.0, 0.5)


@given(DURATION, DURATION, DURATION, DURATION, DURATION)
def test_the_parts_add_up_to_the_whole(age, preprocess, prefill, denoise, transport):
    latency = age + preprocess + prefill + denoise
    timing = chunk_timing(preprocess, prefill, denoise, latency, 100.0, 100.0 + latency + transport)
    parts = (timing.image_age_ms, timing.preprocess_ms, timing.prefill_ms, timing.denoise_ms)
    assert sum(parts) + timing.publish_to_command_ms == pytest.approx(timing.total_ms, abs=1e-6)
    assert timing.image_age_ms == pytest.approx(1e3 * age, abs=1e-6)
    assert timing.publish_to_command_ms == pytest.approx(1e3 * transport, abs=1e-6)


def test_percentiles_are_taken_part_by_part():
    timings = [ChunkTiming(1.0, 2.0, 3.0, 4.0, 5.0, float(total)) for total in range(101)]
    numbers = percentiles(timings)
    assert numbers["total"] == {"p50": 50.0, "p95": 95.0}
    assert numbers["prefill"] == {"p50": 3.0, "p95": 3.0}


def test_without_chunks_nothing_is_known():
    assert math.isnan(percentiles([])["total"]["p95"])
