"""Episodes: a sentence each, and long enough to learn from."""

from collections.abc import Iterator

from dvla_ros.datasets.checks.finding import Finding, error
from dvla_ros.datasets.gathered import Gathered

_SHORT_S = 2.0
_MOST_NAMED = 8


def check_instructions(gathered: Gathered) -> Iterator[Finding]:
    """Every episode says what was to be done."""
    without = [episode for episode, _, instruction in gathered.by_episode() if not instruction.strip()]
    count = len(list(gathered.by_episode()))
    if not without:
        return
    told = (
        f"{len(without)} of {count} episodes ({_numbers(without)}) do not say what was to be done; give "
        "--instruction, or leave them out."
    )
    yield error("instruction", told) if len(without) == count else Finding("instruction", told)


def check_lengths_of_episodes(gathered: Gathered) -> Iterator[Finding]:
    """No episode is over before anything can be done, and none gave nothing."""
    lengths = {episode: frames for episode, frames, _ in gathered.by_episode()}
    short = [episode for episode, frames in lengths.items() if frames < _SHORT_S * gathered.fps]
    if short:
        yield Finding(
            "short",
            f"{len(short)} of {len(lengths)} episodes ({_numbers(short)}) have less than {_SHORT_S:g} s of usable "
            "frames: were they cut, or do streams fail?",
        )
    if missing := gathered.episodes - len(lengths):
        yield Finding("short", f"{missing} of {gathered.episodes} episodes gave no usable frame at all.")


def _numbers(episodes: list[int]) -> str:
    named = ", ".join(str(episode) for episode in episodes[:_MOST_NAMED])
    return f"{named}, …" if len(episodes) > _MOST_NAMED else named
