"""What the published preprocessing costs, and what the wrong step in its place would change.

Example:
    .venv/bin/python benchmarks/preprocessing.py --json benchmarks/results/preprocessing.json

Pictures are the two cameras of simulated scenes, 640 x 480. Times are processor time of one core, the least of several.
Differences are in levels of 255 after the whole OpenVLA chain: what becomes of them in a policy is another question.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro
from PIL import Image
from publish import show, wide_console, write_json, write_page

from dvla_ros.evaluation.expert_frames import ExpertFrames
from dvla_ros.evaluation.markdown_table import FigureTable
from dvla_ros.preprocessing.crop_and_resize import center_crop_area, center_crop_sides
from dvla_ros.preprocessing.jpeg import jpeg_round_trip
from dvla_ros.preprocessing.lanczos import lanczos3_resize
from dvla_ros.preprocessing.siglip_images import SiglipImages
from dvla_ros.provenance import machine_line, machine_name

console = wide_console()
SIZE = 224
PART = "preprocessing"
Picture = np.ndarray


@dataclass(frozen=True)
class PreprocessingConfig:
    """Time the preprocessing and compare it with what is often put in its place.

    Attributes:
        scenes: Simulated scenes, two pictures each.
        seed: First scene.
        repeats: Of each time; the least counts.
        json: File for the figures.
        write: Page whose table is to be renewed.
    """

    scenes: int = 8
    seed: int = 0
    repeats: int = 20
    json: Path | None = None
    write: Path | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    config = tyro.cli(PreprocessingConfig, args=arguments)
    pictures = scenes(config)
    times = {name: least_ms(step, pictures[0], config.repeats) for name, step in STEPS.items()}
    right = [released(picture) for picture in pictures]
    differences = {name: difference(right, [chain(picture) for picture in pictures]) for name, chain in WRONG.items()}
    table = table_of(times, differences)
    show(console, table, f"{len(pictures)} pictures, {machine_line()}", leave_out="")
    if config.json is not None:
        figures = {"machine": machine_line(), "pictures": len(pictures), "ms": times, "differences": differences}
        write_json(console, config.json, figures)
    if config.write is not None:
        write_page(console, config.write, PART, table, f"{len(pictures)} pictures of 640 x 480, {machine_name()}.")
    return 0


def scenes(config: PreprocessingConfig) -> list[Picture]:
    """Pictures uint8 `[480, 640, 3]`."""
    frames = ExpertFrames()
    seeds = range(config.seed, config.seed + config.scenes)
    first = [next(frames.episode("pick_red", seed, frames=1, spacing=1, horizon=1)) for seed in seeds]
    return [image for frame in first for image in frame.observation.images.values()]


def released(picture: Picture) -> Picture:
    """JPEG as TensorFlow decodes it, Lanczos-3, the middle 0.9 of the area."""
    return center_crop_area(lanczos3_resize(jpeg_round_trip(picture), SIZE, SIZE))


def with_pillow(picture: Picture) -> Picture:
    """Pillow's LANCZOS in the place of TensorFlow's."""
    small = Image.fromarray(jpeg_round_trip(picture)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return center_crop_area(np.asarray(small))


def with_opencv(picture: Picture) -> Picture:
    """OpenCV's INTER_LANCZOS4, which knows no antialias."""
    small = cv2.resize(jpeg_round_trip(picture), (SIZE, SIZE), interpolation=cv2.INTER_LANCZOS4)
    return center_crop_area(np.asarray(small))


STEPS: dict[str, Callable[[Picture], object]] = {
    "JPEG round trip, decoded as TensorFlow does": jpeg_round_trip,
    "JPEG round trip, decoded as Pillow does": lambda picture: jpeg_round_trip(picture, decoder="accurate"),
    "Lanczos-3 to 224": lambda picture: lanczos3_resize(picture, SIZE, SIZE),
    "the middle 0.9 of the area, of 224": lambda picture: center_crop_area(picture[:SIZE, :SIZE].copy()),
    "the middle 0.95 of each side": center_crop_sides,
    "OpenVLA's whole chain": released,
    "LLaDA-V's tile of 384": SiglipImages(),
}
WRONG: dict[str, Callable[[Picture], Picture]] = {
    "no JPEG": lambda picture: center_crop_area(lanczos3_resize(picture, SIZE, SIZE)),
    "JPEG decoded as Pillow does": lambda picture: center_crop_area(
        lanczos3_resize(jpeg_round_trip(picture, decoder="accurate"), SIZE, SIZE)
    ),
    "Pillow's LANCZOS": with_pillow,
    "OpenCV's INTER_LANCZOS4": with_opencv,
    "no crop": lambda picture: lanczos3_resize(jpeg_round_trip(picture), SIZE, SIZE),
}


def least_ms(step: Callable[[Picture], object], picture: Picture, repeats: int) -> float:
    """Milliseconds of processor time."""
    cv2.setNumThreads(1)
    seconds = []
    for _ in range(repeats + 1):
        begun = time.process_time()
        step(picture)
        seconds.append(time.process_time() - begun)
    return 1e3 * min(seconds[1:])


def difference(right: list[Picture], other: list[Picture]) -> dict[str, float]:
    """Levels between two lists of pictures."""
    levels = np.abs(np.stack(right).astype(int) - np.stack(other).astype(int))
    return {"mean": float(levels.mean()), "greatest": int(levels.max()), "over_1": float((levels > 1).mean())}


def table_of(times: dict[str, float], differences: dict[str, dict[str, float]]) -> FigureTable:
    """Steps with their time, then what stands in their place with what it changes."""
    none = "–"
    rows = [(name, f"{milliseconds:.1f}", none, none, none) for name, milliseconds in times.items()]
    for name, row in differences.items():
        rows.append((f"instead: {name}", none, f"{row['mean']:.2f}", f"{row['greatest']:.0f}", f"{row['over_1']:.1%}"))
    return FigureTable(("step", "ms", "mean difference", "greatest", "over 1 level"), tuple(rows))


if __name__ == "__main__":
    sys.exit(main())
