"""Settings of fine-tuning a published checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from dvla_ros.training.run_settings import require_ranges

_POSITIVE = ("threads", "save_every", "keep", "report_every", "validation_frames")
_NOT_NEGATIVE = ("steps", "batch_size", "accumulate", "learning_rate", "workers", "seed", "peak_tflops")


@dataclass(frozen=True)
class FineTuneConfig:
    """How to fine-tune. What is 0 or empty is as the preset says.

    Attributes:
        checkpoint: Folder of a published checkpoint.
        data: What to learn from: training sets, bags or folders of bags, LeRobot v3 data sets.
        out: Folder of the run: the checkpoint on top, those of single steps and the log beside it.
        deployment: YAML file that says how the checkpoint is used: cameras, statistics, horizon, gripper.
        preset: Hyper-parameters: a system's name for those that were published, with _lora or _full for the other way.
        steps: Optimiser steps.
        batch_size: Observations of a micro-batch and process.
        accumulate: Micro-batches of a step; 0 makes the preset's whole batch of them.
        learning_rate: Peak.
        objective: Settings of the loss that replace the preset's, as name=value.
        adapter: Write the adapter alone, beside the base, instead of whole merged weights.
        instruction: Sentence of recorded episodes that have none.
        seed: Makes a run reproducible on one machine.
        device: cpu, or cuda where there is a GPU.
        precision: fp32, or bf16: frozen weights and products in bfloat16; by default bf16 on a GPU.
        shard: Every process holds a part of weights, gradients and moments (FSDP2) instead of all.
        threads: CPU threads.
        workers: Processes that read demonstrations ahead; 0 reads when a batch is wanted.
        save_every: Steps between saved checkpoints.
        keep: How many of the last checkpoints to keep, beside the best one.
        report_every: Steps between reports.
        peak_tflops: TFLOP/s of one device, by its maker (989 for an H100 SXM in bfloat16): the report says the MFU.
        resume: Go on with the run in `out`, from its last whole checkpoint.
        validation: Data that is not trained on; each checkpoint is measured on it.
        validation_frames: How many of its frames.
    """

    checkpoint: Path
    data: tuple[Path, ...]
    out: Path
    deployment: Path | None = None
    preset: str = ""
    steps: int = 0
    batch_size: int = 0
    accumulate: int = 0
    learning_rate: float = 0.0
    objective: tuple[str, ...] = ()
    adapter: bool = False
    instruction: str = ""
    seed: int = 0
    device: str = "cpu"
    precision: str = ""
    shard: bool = False
    threads: int = 2
    workers: int = 0
    save_every: int = 500
    keep: int = 1
    report_every: int = 10
    peak_tflops: float = 0.0
    resume: bool = False
    validation: tuple[Path, ...] = ()
    validation_frames: int = 20

    def __post_init__(self) -> None:
        require_ranges(self, _POSITIVE, _NOT_NEGATIVE)
