"""Fine-tuning of a published checkpoint: from recordings and a preset to a subject of the training loop."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from dvla_ros.datasets.read_options import ReadOptions
from dvla_ros.engine.memory_plan import GIGABYTE, free_memory
from dvla_ros.errors import ConfigurationError
from dvla_ros.policies.base import Policy
from dvla_ros.policies.load import load_policy
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.policies.published.layout import Setup
from dvla_ros.policies.published.load import inference_dtype
from dvla_ros.policies.published.recognise import read_setup
from dvla_ros.policies.token_policy import TokenPolicy
from dvla_ros.training.agreement import Teacher
from dvla_ros.training.augmentation import published_augmentation, unchanged
from dvla_ros.training.batch import NumberedBatch
from dvla_ros.training.data_sources import prepared_sources
from dvla_ros.training.demonstrations import Demonstrations, read_demonstrations, require_horizon
from dvla_ros.training.example_loader import ExampleLoader, NumberedExamples
from dvla_ros.training.example_order import BatchShare, StepSampler
from dvla_ros.training.fine_tune_config import FineTuneConfig
from dvla_ros.training.history import read_history
from dvla_ros.training.loop import LoopSettings, TrainingLoop
from dvla_ros.training.plain_examples import PlainExamples
from dvla_ros.training.processes import make_accelerator, number_of_processes
from dvla_ros.training.published.demonstrated import DemonstratedFrames, numbered_examples
from dvla_ros.training.published.fine_tuning import FineTuning
from dvla_ros.training.published.flops import Utilisation, model_flop
from dvla_ros.training.published.memory import Devices, TrainingMemory, plan_training, require_training_memory
from dvla_ros.training.published.preset import Preset
from dvla_ros.training.published.presets import preset_named
from dvla_ros.training.reasoning import sentences
from dvla_ros.training.run import CONVERTED, Run
from dvla_ros.training.run_folder import RunFolder
from dvla_ros.training.run_settings import identity
from dvla_ros.training.subject import Subject
from dvla_ros.training.validation import Validation, observations_of

CONVERTED_ATTENTION = "block_causal"
"""Of weights whose prefix cache is exact; the released ones of Discrete Diffusion VLA and LLaDA-VLA have another."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class FineTuner:
    """A run: its checkpoint, its data, its folder.

    Args:
        config: How to fine-tune.

    Attributes:
        run: What trains.
        warnings: What was left out of the recordings, and why.
        memory: The plan for each device, in words.
        before: How far the checkpoint agrees with itself under its own attention, where it is trained for another one.
        utilisation: Makes an MFU of a speed, where `peak_tflops` is given.

    Raises:
        ConfigurationError: The settings do not fit each other, the checkpoint or the data.
        CheckpointError: The checkpoint is not usable, or `out` holds another run.
        DeviceMemoryError: A GPU has not enough memory; nothing was loaded, and the message says what would fit.
        RecordingError: Data cannot be read.
        TrainingError: The run to go on with has other settings.
    """

    def __init__(self, config: FineTuneConfig) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)  # of new adapters
        folder = RunFolder(config.out, config.keep)
        if not config.resume:
            folder.require_new()
        self.config, self.warnings = config, list[str]()
        self._deployment = Deployment() if config.deployment is None else Deployment.load(config.deployment)
        setup = read_setup(config.checkpoint, self._deployment)
        preset, dtype = self._preset(setup.system), self._dtype()
        accelerator = self._accelerator(preset, dtype)
        self._device = accelerator.device
        plan = self._memory(setup, preset, Devices(accelerator.num_processes, config.shard), dtype)
        self.memory = f"{plan.needed / GIGABYTE:.2f} GB on each device ({plan.parts()})"
        demonstrations = self._demonstrations(config.data, setup.spec.horizon)
        require_horizon(demonstrations, setup.spec.horizon, str(config.checkpoint))
        self._share = BatchShare(
            preset.micro_batch,
            accelerator.num_processes,
            accelerator.process_index,
            accelerator.gradient_accumulation_steps,
        )
        self.utilisation: Utilisation | None = None
        if config.peak_tflops:
            peak = config.peak_tflops * 1e12
            self.utilisation = Utilisation(model_flop(setup, preset, dtype), accelerator.num_processes, peak)
        self._settings = self._loop_settings(preset, len(demonstrations))
        tuning = FineTuning(setup, setup.network(accelerator.device, dtype), preset)
        self._examples = _examples(tuning, demonstrations, config.seed)
        validation = self._validation(setup.spec.horizon, accelerator.is_main_process)
        teacher = None if validation is None else validation.teacher
        self.before = None if teacher is None else teacher.agreement(self._policy(self._deployment))
        loop = TrainingLoop(self._settings, self._subject(tuning), self._supply, folder, accelerator)
        self.run = Run(loop, folder, accelerator, config.resume, validation)

    def _preset(self, system: str) -> Preset:
        config, preset = self.config, preset_named(self.config.preset or system)
        changes: dict[str, object] = {}
        if config.steps:
            changes |= {"steps": config.steps, "epochs": None}
        if config.batch_size:
            changes["micro_batch"] = config.batch_size
        if config.learning_rate:
            changes["learning_rate"] = config.learning_rate
        if config.objective:
            given = {word.partition("=")[0] for word in config.objective}
            kept = [word for word in preset.objective if word.partition("=")[0] not in given]
            changes["objective"] = (*kept, *config.objective)
        return replace(preset, **changes)  # type: ignore[arg-type]

    def _dtype(self) -> torch.dtype:
        precision = self.config.precision
        if not precision:
            return inference_dtype(self.config.device)
        if precision not in DTYPES:
            raise ConfigurationError(f"precision must be one of {', '.join(DTYPES)}, got {precision!r}.")
        return DTYPES[precision]

    def _accelerator(self, preset: Preset, dtype: torch.dtype) -> Accelerator:
        at_once = preset.micro_batch * number_of_processes()
        accumulate = self.config.accumulate or max(1, preset.batch_size // at_once)
        return make_accelerator(self.config.device, "bf16" if dtype == torch.bfloat16 else "fp32", accumulate)

    def _memory(self, setup: Setup, preset: Preset, devices: Devices, dtype: torch.dtype) -> TrainingMemory:
        """What each device needs; a CPU has its operating system to refuse."""
        if self._device.type != "cuda":
            return plan_training(setup, preset, devices, dtype)
        return require_training_memory(setup, preset, str(self._device), free_memory(self._device), devices)

    def _demonstrations(self, paths: Sequence[Path], horizon: int) -> Demonstrations:
        reading = ReadOptions(instruction=self.config.instruction)
        sources = prepared_sources(paths, self.config.out / CONVERTED, reading, horizon)
        self.warnings += [f"{source.path}: {warning}" for source in sources for warning in source.warnings]
        return read_demonstrations([source.folder for source in sources])

    def _subject(self, tuning: FineTuning) -> Subject:
        save: Callable[[Path, Mapping[str, Tensor]], None]
        save = tuning.save_adapter if self.config.adapter else tuning.save
        return Subject(
            network=tuning.module,
            learner=tuning.learner,
            objective=tuning.objective,
            write=save,
            complete=tuning.completed,
            groups=tuning.parameter_groups,
        )

    def _validation(self, horizon: int, is_first: bool) -> Validation | None:
        if not self.config.validation:
            return None
        config = self.config
        demonstrations = self._demonstrations(config.validation, horizon)
        validation = Validation(demonstrations, config.validation_frames, load=self._load)
        if self._deployment.attention != CONVERTED_ATTENTION or not is_first:
            return validation
        observations = observations_of(demonstrations, config.validation_frames)
        return replace(validation, teacher=Teacher(self._policy(replace(self._deployment, attention="")), observations))

    def _policy(self, deployment: Deployment) -> TokenPolicy:
        """The checkpoint that the run starts from."""
        policy = load_policy(self.config.checkpoint, self.config.device, deployment=deployment)
        if not isinstance(policy, TokenPolicy):
            raise ConfigurationError(f"attention {CONVERTED_ATTENTION} is of systems with tokens.")
        return policy

    def _load(self, folder: Path) -> Policy:
        deployment = self._deployment
        if self.config.adapter:
            deployment = replace(deployment, files={**deployment.files, "base": str(self.config.checkpoint)})
        return load_policy(folder, self.config.device, deployment=deployment)

    def _supply(self, done: int) -> Iterator[NumberedBatch]:
        sampler = StepSampler(self._share, self._settings.steps, done)
        return iter(ExampleLoader(NumberedExamples(self._examples), sampler, self.config.workers, self._device))

    def _loop_settings(self, preset: Preset, frames: int) -> LoopSettings:
        config, examples = self.config, self._share.global_batch
        return LoopSettings(
            steps=preset.steps or max(1, (preset.epochs or 1) * frames // examples),
            examples=examples,
            learning_rate=preset.learning_rate,
            schedule=preset.schedule,
            warmup=preset.warmup_steps,
            drop_after=preset.drop_after or 0,
            least=preset.least_learning_rate / preset.learning_rate,
            weight_decay=preset.weight_decay,
            betas=preset.betas,
            epsilon=preset.epsilon,
            max_norm=float("inf") if preset.clip is None else preset.clip,
            ema=preset.ema,
            seed=config.seed,
            shard=config.shard,
            save_every=config.save_every,
            report_every=config.report_every,
            identity={**identity(config), "examples": examples, "frames": frames},
            before=read_history(config.checkpoint),
        )


def _examples(tuning: FineTuning, demonstrations: Demonstrations, seed: int) -> PlainExamples[Any]:
    """Batches by the numbers of their examples."""
    setup, preset = tuning.setup, tuning.preset
    reasons = setup.spec.reasons and "reason=false" not in preset.objective
    said = sentences(demonstrations) if reasons else ()
    frames = DemonstratedFrames(demonstrations, setup.spec.horizon, said)
    augment = published_augmentation(setup.system)
    # Every published augmentation begins with a random cut-out.
    published = tuning.examples(frames, cut_out=augment is not unchanged)
    return numbered_examples(demonstrations, frames, published, augment, seed, preset.drop_instruction)
