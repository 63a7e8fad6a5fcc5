"""Discrete Diffusion VLA at small size: masked action tokens decoded easy-first (arXiv 2508.20072)."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from dvla_ros.actions.bins import UniformBins
from dvla_ros.actions.codec import ActionCodec
from dvla_ros.actions.normalization import DatasetStatistics, Normalizer
from dvla_ros.control.observation import Observation
from dvla_ros.denoising.canvas import Canvas, Segment
from dvla_ros.denoising.loop import DenoisingResult, denoise
from dvla_ros.denoising.masked import MaskedConfig, MaskedDenoiser
from dvla_ros.errors import ActionError, ConfigurationError, ObservationError
from dvla_ros.models.small_vla import SmallVla
from dvla_ros.models.text import SentenceEncoder
from dvla_ros.policies.base import DenoisingStep, Prediction, Timings
from dvla_ros.policies.checkpoint import CheckpointConfig, read_config, read_statistics, read_weights

_SEGMENT = "action"


class DiscreteDiffusionVla:
    """Observation to chunk: prefix once, then a few denoising steps over 56 action tokens.

    Not thread-safe; one caller at a time.
    """

    def __init__(
        self,
        config: CheckpointConfig,
        model: SmallVla,
        statistics: DatasetStatistics,
        decoding: MaskedConfig | None = None,
        device: str = "cpu",
    ) -> None:
        self.spec = config.spec
        self.device = torch.device(device)
        self._size = (config.model.image_width, config.model.image_height)
        self._model = model.to(self.device).eval()
        self._codec = ActionCodec(Normalizer.from_statistics(statistics.action), UniformBins(config.model.vocabulary))
        self._state_normalizer = Normalizer.from_statistics(statistics.proprio, "min_max")
        self._text = SentenceEncoder(config.model.text_tokens)
        segment = Segment(_SEGMENT, config.model.horizon, config.model.action_dim, config.model.vocabulary)
        self._canvas = Canvas((segment,))
        self._denoiser = MaskedDenoiser(decoding or config.decoding)
        self._seeds = np.random.default_rng()

    @classmethod
    def from_checkpoint(
        cls, folder: Path, device: str = "cpu", overrides: Mapping[str, object] | None = None
    ) -> "DiscreteDiffusionVla":
        """Load a checkpoint folder; `overrides` replaces settings of the decoder by name.

        Raises:
            CheckpointError: The folder is not a usable checkpoint.
            ConfigurationError: An override is unknown or out of range.
        """
        config = read_config(folder)
        model = SmallVla(config.model)
        read_weights(folder, model)
        try:
            decoding = replace(config.decoding, **(overrides or {}))  # type: ignore[arg-type]
        except TypeError:
            known = ", ".join(MaskedConfig.__dataclass_fields__)
            raise ConfigurationError(f"Unknown decoder settings in {overrides}; known are {known}.") from None
        return cls(config, model, read_statistics(folder, config.spec), decoding, device)

    def reset(self) -> None:
        """Nothing is remembered between chunks."""

    @torch.no_grad()
    def predict(
        self,
        observation: Observation,
        *,
        frozen_actions: np.ndarray | None = None,
        seed: int | None = None,
        deadline_s: float | None = None,
    ) -> Prediction:
        """Infer a chunk; see `policies.base.Policy.predict`."""
        started = time.perf_counter()
        images, text, state = self._inputs(observation)
        frozen = self._frozen(frozen_actions)
        prepared = time.perf_counter()
        prefix = self._model.prefill(images, text, state)
        self._wait_for_device()
        prefilled = time.perf_counter()
        generator = torch.Generator(self.device).manual_seed(int(self._seeds.integers(2**31)) if seed is None else seed)
        result = denoise(
            lambda tokens: self._model.logits(prefix.cache, tokens),
            self._canvas,
            self._denoiser,
            batch_size=1,
            generator=generator,
            frozen_tokens=frozen,
            deadline_s=None if deadline_s is None else max(0.0, deadline_s - (prefilled - started)),
            device=self.device,
        )
        denoised = time.perf_counter()
        keypoints = prefix.positions[0, :, :2].cpu().numpy()
        prediction = self._prediction(result, {"keypoints": dict(zip(self.spec.cameras, keypoints, strict=True))})
        timings = Timings(
            prepared - started, prefilled - prepared, denoised - prefilled, time.perf_counter() - denoised
        )
        return replace(prediction, timings=timings)

    def _inputs(self, observation: Observation) -> tuple[Tensor, Tensor, Tensor]:
        if missing := [name for name in self.spec.cameras if name not in observation.images]:
            raise ObservationError(f"The policy needs the cameras {self.spec.cameras}; {missing} are missing.")
        if not observation.instruction.strip():
            raise ObservationError("The instruction is empty; say what to do, e.g. 'pick up the red cube'.")
        if observation.state.shape != (self.spec.state_dim,) or not np.isfinite(observation.state).all():
            raise ObservationError(f"The state must be {self.spec.state_dim} finite numbers, got {observation.state}.")
        images = np.stack([self._resized(name, observation.images[name]) for name in self.spec.cameras])
        state = torch.from_numpy(self._state_normalizer.normalize(observation.state)).float()
        text = self._text.encode(observation.instruction)
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
        return pixels[None].to(self.device), text[None].to(self.device), state[None].to(self.device)

    def _resized(self, name: str, image: np.ndarray) -> np.ndarray:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ObservationError(
                f"Camera {name} must give uint8 [H, W, 3] RGB, got {image.dtype} {list(image.shape)}."
            )
        if (image.shape[1], image.shape[0]) == self._size:
            return image
        return cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)

    def _frozen(self, actions: np.ndarray | None) -> Tensor | None:
        if actions is None or len(actions) == 0:
            return None
        if actions.shape[0] > self.spec.horizon:
            raise ActionError(f"At most {self.spec.horizon} actions can be frozen, got {actions.shape[0]}.")
        tokens = torch.from_numpy(self._codec.encode(actions))[None].to(self.device)
        return self._canvas.freeze_leading(_SEGMENT, tokens)

    def _prediction(self, result: DenoisingResult, extras: Mapping[str, object]) -> Prediction:
        shape = (self.spec.horizon, len(self.spec.action_names))
        tokens = result.tokens[0].cpu().numpy().reshape(shape)
        return Prediction(
            actions=self._codec.decode(tokens),
            tokens=tokens.astype(np.int32),
            confidence=result.confidence[0].cpu().numpy().reshape(shape),
            trace=tuple(DenoisingStep(**step.arrays(0)) for step in result.trace),
            mask_token=self._canvas.mask_token,
            nfe=result.nfe,
            timings=Timings(0.0, 0.0, 0.0, 0.0),
            extras=extras,
        )

    def _wait_for_device(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
