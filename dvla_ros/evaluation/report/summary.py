"""The summary of an evaluation in Markdown."""

from dvla_ros.evaluation.evaluation_result import EvaluationResult
from dvla_ros.evaluation.report.tables import FIGURES, episode_table, summary_table


def markdown(result: EvaluationResult) -> str:
    """Warnings, the side-by-side table, episodes, and how it came about."""
    seconds = sum(episode.seconds for episode in result.episodes)
    steps = result.variants[0].figures.steps
    drawn = result.variants[0].figures.intervals
    lines = [
        "# Evaluation on recordings",
        "",
        f"{len(result.episodes)} episodes, {seconds:.1f} s, {steps} predictions of each policy. In brackets "
        f"{drawn.level:.0%} intervals, by drawing {drawn.drawn} again {drawn.draws} times.",
        "",
        *(f"- **Warning:** {warning}" for warning in result.warnings),
        *([""] if result.warnings else []),
        summary_table(result).markdown(),
        "",
        *(f"- *{figure.name}*: {figure.about}." for figure in FIGURES),
        "",
        "## Episodes",
        "",
        episode_table(result).markdown(),
        "",
        "## How it came about",
        "",
        *(f"- {name}: `{value}`" for name, value in result.metadata.items() if name != "parameters"),
        *(f"- {v.name}: `{v.checkpoint}`, fingerprint `{v.fingerprint}`, decoder {v.decoder}" for v in result.variants),
        *(f"- {bag.path}: {bag.bytes / 1e6:.1f} MB, {sum(bag.messages.values())} messages" for bag in result.bags),
    ]
    return "\n".join(lines) + "\n"
