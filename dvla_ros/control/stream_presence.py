"""Sentences about streams that deliver nothing, too late, or from the future."""

from collections.abc import Mapping, Sequence
from typing import Any

from dvla_ros.control.stream import StampedStream


def nothing_arrived(missing: Sequence[StampedStream[Any]], warm_up_s: float) -> str:
    """What to do about streams of which no sample was kept in the warm-up."""
    return (
        f"Nothing arrived from {', '.join(repr(stream.name) for stream in missing)} in {warm_up_s} s"
        f"{_what_came_instead(missing)}. "
        "Check the topic name, and that its publisher runs and offers a compatible QoS."
    )


def ahead_of_clock(newest: Mapping[str, float], now: float, most_s: float) -> str:
    """Which stream's newest stamp lies more than `most_s` after `now`; empty when none does."""
    first = max(newest, key=lambda name: newest[name])
    ahead = newest[first] - now
    if ahead <= most_s:
        return ""
    return (
        f"The stamps of '{first}' are {ahead:.2f} s ahead of the clock, allowed are {most_s} s. Synchronise the "
        "clocks, check use_sim_time, or set stamp_source to receive."
    )


def standing_still(
    streams: Sequence[StampedStream[Any]], newest: Mapping[str, float], now: float, most_s: float
) -> str:
    """Which streams' newest sample is older than `most_s`, and what they sent since; empty when none is."""
    still = [stream for stream in streams if now - newest[stream.name] > most_s]
    if not still:
        return ""
    ages = {stream.name: now - newest[stream.name] for stream in still}
    oldest = max(ages, key=lambda name: ages[name])
    sentence = f"newest sample is {ages[oldest]:.2f} s old, allowed are {most_s} s{_what_came_instead(still)}."
    if len(still) == 1:
        check = "Check that its publisher runs and that the clocks agree."
        return f"'{oldest}' stands still: its {sentence} {check}"
    if len(still) < len(streams):
        names = ", ".join(repr(stream.name) for stream in still)
        return f"{names} stand still: the oldest {sentence} Check that their publishers run and that the clocks agree."
    return f"All streams stand still: the oldest {sentence} Was the clock set ahead, or did all publishers stop?"


def _what_came_instead(streams: Sequence[StampedStream[Any]]) -> str:
    words = [f"'{stream.name}' sent {trouble}" for stream in streams if (trouble := stream.trouble())]
    return f" ({'; '.join(words)})" if words else ""
