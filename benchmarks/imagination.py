"""What UD-VLA imagines against what came: likeness of the future images, and a picture of some of them.

Examples:
    .venv/bin/python benchmarks/imagination.py --frames 200 --write docs/benchmarks.md
    .venv/bin/python benchmarks/imagination.py --picture docs/images/imagination.png

The frames are of scripted episodes in scenes that were never trained on; what came is rendered after the expert's own
chunk. The image as it is now, taken for the future, is the baseline, and the true future through the image tokenizer is
the best that tokens can say.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from publish import show, wide_console, write_json, write_page

from dvla_ros.control.observation import Observation
from dvla_ros.errors import ConfigurationError, DvlaError
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.models.vq import VqTokenizer
from dvla_ros.policies.base import Policy
from dvla_ros.policies.imagination import FOLDER as VQ_FOLDER
from dvla_ros.policies.load import load_policy
from dvla_ros.provenance import machine_line, machine_name
from dvla_ros.simulation.scene import CAMERAS
from dvla_ros.simulation.tasks import TASKS
from dvla_ros.training.collect import CollectConfig, Collector
from dvla_ros.training.shard import FUTURE_SIZE, Frame

PART = "imagination"
ROWS = ("imagined by the policy", "the image of now", "the true future through the tokenizer")
_FIRST_UNSEEN_EPISODE = 500_000
_SPACING = 4
_ENLARGED = 4
console = wide_console()


@dataclass(frozen=True)
class ImaginationConfig:
    """Compare imagined and true future images.

    Attributes:
        frames: How many observations.
        seed: First episode.
        checkpoint: Folder of a policy that imagines.
        picture: File for a picture: now, imagined, came; one column for each of some frames.
        columns: Columns of the picture.
        json: File for the figures.
        write: Page whose table is replaced, docs/benchmarks.md.
    """

    frames: int = 200
    seed: int = 0
    checkpoint: Path = Path("checkpoints/widowx_ud_vla_small")
    picture: Path | None = None
    columns: int = 6
    json: Path | None = None
    write: Path | None = None

    def __post_init__(self) -> None:
        if self.frames < 1 or self.columns < 1 or self.seed < 0:
            raise ConfigurationError(f"frames and columns must be 1 or more and seed 0 or more, got {self}.")


@dataclass(frozen=True)
class Scene:
    """One observation: uint8 `[C, h, w, 3]` each."""

    now: np.ndarray
    imagined: np.ndarray
    came: np.ndarray
    through_tokens: np.ndarray


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    try:
        config = tyro.cli(ImaginationConfig, args=arguments)
        torch.set_num_threads(1)
        console.print(f"Machine: {machine_line()}")
        policy = load_policy(config.checkpoint)
        if not policy.spec.imagines:
            raise ConfigurationError(f"{config.checkpoint} is of {policy.spec.system}, which imagines nothing.")
        tokenizer = VqTokenizer.load(config.checkpoint / VQ_FOLDER).eval()
        scenes = [imagine(frame, policy, tokenizer, i) for i, frame in enumerate(unseen_frames(config))]
        publish(scenes, config)
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def unseen_frames(config: ImaginationConfig) -> Iterator[Frame]:
    """Every fourth frame of scripted episodes in new scenes."""
    collector = Collector(CollectConfig(out=Path("unused"), noise_m=0.0, kick_probability=0.0, slip_probability=0.0))
    wanted, episode = config.frames, _FIRST_UNSEEN_EPISODE + config.seed
    while wanted > 0:
        frames = collector.episode(episode)[0][::_SPACING][:wanted]
        yield from frames
        wanted, episode = wanted - len(frames), episode + 1


def imagine(frame: Frame, policy: Policy, tokenizer: VqTokenizer, seed: int) -> Scene:
    """What the policy imagines of one frame, beside what came."""
    images = dict(zip(CAMERAS, frame.images, strict=True))
    sentence = list(TASKS.values())[frame.instruction].instruction
    prediction = policy.predict(Observation(0.0, images, frame.state.astype(float), sentence), seed=seed)
    came = torch.from_numpy(frame.futures).permute(0, 3, 1, 2)
    through = tokenizer.decode(tokenizer.encode(came)).permute(0, 2, 3, 1).numpy()
    now = np.stack([cv2.resize(image, FUTURE_SIZE, interpolation=cv2.INTER_AREA) for image in frame.images])
    return Scene(now, np.stack([prediction.imagined_images[c] for c in CAMERAS]), frame.futures, through)


def publish(scenes: Sequence[Scene], config: ImaginationConfig) -> None:
    """Tables and picture."""
    given = [np.stack([getattr(s, name) for s in scenes]) for name in ("imagined", "now", "through_tokens")]
    came, now = np.stack([s.came for s in scenes]), given[1]
    moved = np.abs(came.astype(float) - now).max(axis=-1) > 40.0
    figures = {what: likeness(images, came, moved) for what, images in zip(ROWS, given, strict=True)}
    rows = [(what, *(f"{x:.1f}" for x in each)) for what, each in figures.items()]
    headings = ("future", *(f"{c} PSNR dB" for c in CAMERAS), *(f"{c}, where it changed" for c in CAMERAS))
    table = FigureTable(headings, tuple(rows))
    show(console, table, f"{len(scenes)} observations", leave_out="")
    if config.json is not None:
        write_json(console, config.json, {"machine": machine_line(), "frames": len(scenes), "psnr_db": figures})
    if config.write is not None:
        write_page(console, config.write, PART, table, f"{len(scenes)} observations, {machine_name()}.")
    if config.picture is not None:
        draw(scenes[:: max(1, len(scenes) // config.columns)][: config.columns], config.picture)


def likeness(images: np.ndarray, came: np.ndarray, moved: np.ndarray) -> list[float]:
    """PSNR in dB of each camera, over all pixels and over those that changed by more than 40 of 255."""
    error = np.square(images.astype(float) - came).mean(axis=-1)
    cameras = range(came.shape[1])
    everywhere = [_psnr(error[:, c].mean()) for c in cameras]
    return everywhere + [_psnr(error[:, c][moved[:, c]].mean()) for c in cameras]


def _psnr(mean_squared_error: float) -> float:
    return float(10.0 * np.log10(255.0**2 / mean_squared_error))


def draw(scenes: Sequence[Scene], path: Path) -> None:
    """One column per scene; for each camera now, imagined and came below each other."""
    columns = []
    for scene in scenes:
        pictures = [images[c] for c in range(len(CAMERAS)) for images in (scene.now, scene.imagined, scene.came)]
        columns.append(np.concatenate([np.pad(p, ((0, 1), (0, 1), (0, 0)), constant_values=255) for p in pictures]))
    sheet = np.concatenate(columns, axis=1)
    enlarged = cv2.resize(sheet, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_NEAREST)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(enlarged, cv2.COLOR_RGB2BGR))
    console.print(f"Wrote {path}.")


if __name__ == "__main__":
    sys.exit(main())
