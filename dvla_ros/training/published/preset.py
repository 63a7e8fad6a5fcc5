"""Hyper-parameters of fine-tuning as one record."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.published.low_rank import LowRankConfig

Schedule = Literal["constant", "steps", "cosine"]


@dataclass(frozen=True)
class Preset:
    """How a system is fine-tuned.

    Attributes:
        name: Of the preset.
        system: Which system.
        source: Where the numbers are from.
        learning_rate: Peak.
        head_learning_rate: Of what is trained from scratch or whole beside an adapter; None for the same.
        schedule: `constant`; `steps`, a tenth from step `drop_after` on; `cosine`, down to `least_learning_rate`.
        drop_after: See above.
        least_learning_rate: See above.
        warmup_steps: With a rising learning rate.
        steps: Of the optimiser; None where `epochs` says how long.
        epochs: Times that the data are seen; None where `steps` says how long.
        batch_size: Observations of a step, over all devices and micro-batches.
        micro_batch: Observations at a time on one device.
        weight_decay: Of AdamW.
        betas: Likewise.
        epsilon: Likewise.
        clip: Greatest norm of the gradients; None for no bound.
        ema: Decay of averaged weights; 0 for none.
        low_rank: The adapter; None for full fine-tuning.
        frozen: Regular expression; parameters of a full fine-tuning that stay as they are.
        checkpointing: Whether layers are run again instead of kept.
        drop_instruction: Probability of an empty sentence.
        horizon: Actions of a chunk; 0 for the checkpoint's.
        loss: `published`: the language model's own, see `prismatic_objective`; `own`: that of `training.objectives`.
        objective: Settings of the loss, as name=value.
        ours: Names of fields of which no publication says anything: the numbers are our choice.

    Raises:
        ConfigurationError: A number is out of range.
    """

    name: str
    system: str
    source: str
    learning_rate: float
    batch_size: int
    micro_batch: int
    head_learning_rate: float | None = None
    schedule: Schedule = "constant"
    drop_after: int | None = None
    least_learning_rate: float = 0.0
    warmup_steps: int = 0
    steps: int | None = None
    epochs: int | None = None
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    clip: float | None = 1.0
    ema: float = 0.0
    low_rank: LowRankConfig | None = None
    frozen: str = ""
    checkpointing: bool = True
    drop_instruction: float = 0.0
    horizon: int = 0
    loss: Literal["published", "own"] = "own"
    objective: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or min(self.batch_size, self.micro_batch) < 1:
            raise ConfigurationError(f"learning_rate, batch_size and micro_batch must be positive, got {self}.")
        if (self.steps is None) == (self.epochs is None):
            raise ConfigurationError(f"Give either steps or epochs, got {self.steps} and {self.epochs}.")
        if self.schedule not in get_args(Schedule) or (self.schedule == "steps") != (self.drop_after is not None):
            raise ConfigurationError(
                f"schedule must be one of {get_args(Schedule)}, and drop_after belongs to steps; got {self.schedule!r} "
                f"and {self.drop_after}."
            )
        if unknown := set(self.ours) - {field.name for field in fields(self)}:
            raise ConfigurationError(f"ours names no fields {sorted(unknown)}.")
