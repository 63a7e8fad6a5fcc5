"""Settings of a training run."""

from dataclasses import dataclass, field
from pathlib import Path

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.policies.systems import system_named

_ROWS_ARE_TOKENS = ("dd_vla", "llada_vla")


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Attributes:
        data: Folders of demonstrations.
        out: Checkpoint folder to write; a log stands beside the weights.
        system: Which system to train: dd_vla, ud_vla, llada_vla, dfm_vla or diffusion_vla.
        init: Checkpoint folder of the same system to start from, with its statistics and its action coding; None starts
            from scratch.
        backbone: Checkpoint folder of any system, whose perception, trunk and statistics to start from.
        freeze_perception: Train all but the perception, as it came with `init` or `backbone`.
        vq: Folder of the image tokenizer that `dvla train-vq` wrote; only ud_vla needs it, and not with `init`, which
            has its own.
        steps: Optimiser steps.
        batch_size: Observations per step and process; `torchrun` starts several processes.
        learning_rate: Peak of a cosine schedule with a short warm-up.
        weight_decay: Of AdamW.
        ema: Decay of the averaged weights, which are what is saved.
        drop_instruction: Probability that the network is given an empty sentence, for classifier-free guidance (0.05 to
            0.15 in UD-VLA's code).
        seed: Makes a run reproducible on one machine.
        threads: CPU threads.
        save_every: Steps between saved checkpoints.
        execute_steps: Written into the checkpoint; 0 takes the system's own number.
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
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    ema: float = 0.999
    drop_instruction: float = 0.0
    seed: int = 0
    threads: int = 2
    save_every: int = 500
    execute_steps: int = 0
    heads: int = 4
    layers: int = 4
    perception: PerceptionConfig = field(default_factory=PerceptionConfig)
    coding: tuple[str, ...] = ()
    objective: tuple[str, ...] = ()
    decoding: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.threads, self.save_every) < 1 or self.learning_rate <= 0:
            raise ConfigurationError(
                f"steps, batch_size, threads, save_every and learning_rate must be positive: {self}."
            )
        in_range = 0 <= self.ema < 1 and 0 <= self.drop_instruction <= 1
        if not in_range or min(self.weight_decay, self.execute_steps) < 0:
            raise ConfigurationError(
                "ema must be in 0..1, below 1, drop_instruction in 0..1, weight_decay and execute_steps 0 or more, got "
                f"{self.ema}, {self.drop_instruction}, {self.weight_decay} and {self.execute_steps}."
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
