"""Learning rates as functions of the step alone, so that a run can be resumed at any of them."""

import math
from typing import Literal, get_args

from dvla_ros.errors import ConfigurationError

Schedule = Literal["one_cycle", "cosine", "constant", "steps"]
_BEGIN, _END = 1 / 20, 1 / 20 / 1e4
_DROP = 0.1


def learning_rate_share(
    schedule: Schedule, step: int, steps: int, warmup: int = 0, drop_after: int = 0, least: float = 0.0
) -> float:
    """Share of the peak learning rate.

    Args:
        schedule: `one_cycle`: up along a half cosine from 1/20 in 5 % of the steps, and down to 1/200 000 (Smith and
            Topin 2017); `cosine`: up in a line, then down to `least` along a half cosine (UD-VLA, DFM-VLA, LLaDA-VLA);
            `constant`: up in a line, then 1; `steps`: the same, and a tenth from `drop_after` on (OpenVLA-OFT).
        step: Number of the optimiser step, from 0.
        steps: Of the whole run.
        warmup: Steps of the line; `one_cycle` has its own.
        drop_after: Step from which `steps` takes a tenth.
        least: Share at the end of `cosine`.

    Raises:
        ConfigurationError: There is no such schedule.
    """
    if schedule not in get_args(Schedule):
        raise ConfigurationError(f"schedule must be one of {get_args(Schedule)}, got {schedule!r}.")
    if schedule == "one_cycle":
        return _one_cycle(step, steps)
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "cosine":
        return _between(1.0, least, (step - warmup) / max(1, steps - warmup))
    return _DROP if schedule == "steps" and step >= drop_after else 1.0


def _one_cycle(step: int, steps: int) -> float:
    peak = 0.05 * steps - 1.0
    if step < peak:
        return _between(_BEGIN, 1.0, step / peak)
    return _between(1.0, _END, (step - max(peak, 0.0)) / max(1.0, steps - 1 - max(peak, 0.0)))


def _between(first: float, last: float, share: float) -> float:
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
