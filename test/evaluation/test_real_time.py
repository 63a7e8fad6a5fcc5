"""The figures of a recording that was played in real time."""

import json
import math

from dvla_ros.evaluation.real_time import Milliseconds, RealTimeFigures, RejectedChunks, StreamFigures


def test_durations_become_percentiles_in_milliseconds():
    figures = Milliseconds.of([0.001 * i for i in range(101)])
    assert [round(value, 6) for value in (figures.p50, figures.p95, figures.p99, figures.worst)] == [50, 95, 99, 100]
    assert math.isnan(Milliseconds.of([]).p50)


def test_the_figures_are_json_with_drops_and_without_nan():
    never = Milliseconds.of([])
    figures = RealTimeFigures(
        bag="bag",
        checkpoint="folder",
        machine="m",
        instruction="go",
        played_s=1.0,
        chunks=3,
        accepted=1,
        rejected=(RejectedChunks("start_jump", 2),),
        latency=never,
        age=never,
        inference=Milliseconds.of([0.1]),
        streams=(StreamFigures("front", 15, 14), StreamFigures("joint_states", 100, 101)),
        overruns=0,
        lateness=never,
    )
    facts = json.loads(json.dumps(figures.to_json(), allow_nan=False))
    assert facts["streams"][0] == {"name": "front", "played": 15, "received": 14, "drops": 1}
    assert facts["streams"][1]["drops"] == 0 and facts["latency"]["p50"] is None
    assert facts["rejected"] == [{"reason": "start_jump", "count": 2}]
