"""The report as one page of HTML that needs nothing else."""

import json

from jinja2 import Environment, StrictUndefined

from dvla_ros.evaluation.evaluation_result import EvaluationResult
from dvla_ros.evaluation.report import plots
from dvla_ros.evaluation.report.drawing import colour
from dvla_ros.evaluation.report.strip import strips
from dvla_ros.evaluation.report.tables import (
    DIFFERENCE,
    FIGURES,
    axis_table,
    episode_table,
    replay_words,
    summary_table,
)
from dvla_ros.evaluation.report.words import number, percent, with_interval
from dvla_ros.share import share_path

TEMPLATE = "resource/evaluation_report.html.jinja"
_EPISODES_SHOWN = 8
_DIFFERENCE = "mean absolute error less that of the first policy on the same questions; below zero is better"


def page(result: EvaluationResult) -> str:
    """The page; everything that comes from a recording is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "percent": percent}
    template = environment.from_string(share_path(TEMPLATE).read_text(encoding="utf-8"))
    variants, first = result.variants, result.variants[0]
    shown = [e for e in result.episodes if any(s.episode == e.number for s in first.samples)][:_EPISODES_SHOWN]
    curves = [curve for curve in result.curves if len(curve.offsets)]
    return template.render(
        result=result,
        first=first,
        variants=variants,
        colours=[colour(index) for index in range(len(variants))],
        with_interval=with_interval,
        replay_words=replay_words,
        about={figure.name: figure.about for figure in FIGURES} | {DIFFERENCE: _DIFFERENCE},
        summary=summary_table(result),
        episodes=episode_table(result),
        axes=[(variant.name, axis_table(variant)) for variant in variants],
        by_row=plots.errors_by_row(variants),
        over_time=[(episode, plots.episode_over_time(episode, variants)) for episode in shown],
        reliability=plots.reliability(variants),
        seams=plots.seams(variants),
        latency=plots.latency(variants),
        time_offsets=plots.time_offsets(curves) if curves else "",
        strips=strips(result.strip, [variant.name for variant in variants]),
        parameters=json.dumps(result.metadata.get("parameters", {}), indent=1),
        seconds=sum(episode.seconds for episode in result.episodes),
    )
