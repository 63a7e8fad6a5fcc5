"""Settings of a training run."""

from dataclasses import dataclass, field
from pathlib import Path

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.policies.systems import system_named
from dvla_ros.training.learning_rate import Schedule, learning_rate_share
from dvla_ros.training.run_settings import require_ranges

_POSITIVE = (
    "steps", "batch_size", "accumulate", "learning_rate", "max_norm", "threads", "save_every", "keep", "report_every",
    "validation_frames", "validation_episodes",
)  # fmt: skip
_NOT_NEGATIVE = ("weight_decay", "horizon", "execute_steps", "warmup", "drop_after", "workers", "seed")
_ROWS_ARE_TOKENS = ("dd_vla", "llada_vla")


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        data: What to learn from: training sets, bags or folders of bags, LeRobot v3 data sets.
        out: Folder of the run: the checkpoint on top, those of single steps and the log beside it.
        system: Which system to train: dd_vla, ud_vla, llada_vla, dfm_vla or diffusion_vla.
        init: Checkpoint folder of the same system to start from, with its statistics and its action coding; None starts
            from scratch.
        backbone: Checkpoint folder of any system, whose perception, trunk and statistics to start from.
        freeze_perception: Train all but the perception, as it came with `init` or `backbone`.
        vq: Folder of the image tokenizer that `dvla train-vq` wrote; only ud_vla needs it, and not with `init`, which
            has its own.
        steps: Optimiser steps.
        batch_size: Observations of a micro-batch and process; `torchrun` starts several processes.
        accumulate: Micro-batches of a step, for batches that do not fit.
        learning_rate: Peak of the schedule.
        schedule: one_cycle, cosine, constant or steps, see `learning_rate_share`.
        warmup: Steps until the peak; one_cycle has its own.
        drop_after: Step from which the schedule `steps` takes a tenth of the learning rate.
        weight_decay: Of AdamW.
        betas: Of AdamW.
        max_norm: Longest gradient; a longer one is made this long.
        ema: Decay of the averaged weights, which are what is saved.
        drop_instruction: Probability that the network is given an empty sentence, for classifier-free guidance (0.05 to
            0.15 in UD-VLA's code).
        seed: Makes a run reproducible on one machine.
        device: cpu, or cuda where there is a GPU.
        precision: fp32, or bf16: matrices are multiplied in bfloat16.
        shard: Every process holds a part of weights, gradients and moments (FSDP2) instead of all.
        threads: CPU threads.
        workers: Processes that read demonstrations ahead; 0 reads when a batch is wanted.
        save_every: Steps between saved checkpoints.
        keep: How many of the last checkpoints to keep, beside the best one.
        report_every: Steps between reports.
        resume: Go on with the run in `out`, from its last whole checkpoint.
        validation: Folders of demonstrations that are not trained on; each checkpoint is measured on them.
        validation_frames: How many of their frames.
        validation_tasks: Simulated tasks or families: each checkpoint is measured by its success, too.
        validation_episodes: How many episodes of these.
        horizon: Actions of a chunk; 0 takes the system's own number, or that of `init`.
        execute_steps: Written into the checkpoint; 0 takes the system's own number, or the horizon where it is less.
        heads: Attention heads of the trunk.
        layers: Blocks of the trunk.
        perception: Sizes of the perception.
        coding: Settings of the action coding that replace the system's, as name=value.
        objective: Settings of the loss, as name=value.
        decoding: Settings of the checkpoint's decoder that replace the system's, as name=value.
    """

    data: tuple[Path, ...]
    out: Path
    system: str = "dd_vla"
    init: Path | None = None
    backbone: Path | None = None
    freeze_perception: bool = False
    vq: Path | None = None
    steps: int = 5_000
    batch_size: int = 32
    accumulate: int = 1
    learning_rate: float = 1e-3
    schedule: Schedule = "one_cycle"
    warmup: int = 0
    drop_after: int = 0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    max_norm: float = 1.0
    ema: float = 0.999
    drop_instruction: float = 0.0
    seed: int = 0
    device: str = "cpu"
    precision: str = "fp32"
    shard: bool = False
    threads: int = 2
    workers: int = 0
    save_every: int = 500
    keep: int = 2
    report_every: int = 100
    resume: bool = False
    validation: tuple[Path, ...] = ()
    validation_frames: int = 100
    validation_tasks: tuple[str, ...] = ()
    validation_episodes: int = 20
    horizon: int = 0
    execute_steps: int = 0
    heads: int = 4
    layers: int = 4
    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    coding: tuple[str, ...] = ()
    objective: tuple[str, ...] = ()
    decoding: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_ranges(self, _POSITIVE, _NOT_NEGATIVE)
        learning_rate_share(self.schedule, 0, self.steps)
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigurationError(f"betas must be in 0..1, below 1, got {self.betas}.")
        in_range = 0 <= self.ema < 1 and 0 <= self.drop_instruction <= 1
        if not in_range:
            raise ConfigurationError(
                "ema must be in 0..1, below 1, and drop_instruction in 0..1, got "
                f"{self.ema} and {self.drop_instruction}."
            )
        self._check_start()
        system_named(self.system)
        if self.perception.ways_after_frozen and self.system not in _ROWS_ARE_TOKENS:
            raise ConfigurationError(
                "ways_after_frozen needs frozen rows that are tokens of the canvas, as in "
                f"{' or '.join(_ROWS_ARE_TOKENS)}; {self.system} goes on from them in another way."
            )

    def _check_start(self) -> None:
        if self.init is not None and self.backbone is not None:
            raise ConfigurationError("Give either init (a whole checkpoint) or backbone (perception and trunk).")
        if self.init is not None and self.vq is not None:
            raise ConfigurationError("Leave out vq: init has an image tokenizer, and its weights know no other codes.")
        if self.freeze_perception and self.init is None and self.backbone is None:
            raise ConfigurationError("freeze_perception needs a trained perception: give init or backbone.")
