"""Where the demo's files lie, and what its result says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from dvla_ros.evaluation.chunk_timing import percentiles
from dvla_ros.evaluation.json_numbers import known
from dvla_ros.evaluation.ros_episode import RosEpisode
from dvla_ros.evaluation.ros_summary import frames_received


@dataclass(frozen=True)
class DemoFiles:
    """The files in the demo's folder."""

    folder: Path

    @property
    def film(self) -> Path:
        """What both cameras saw, with the predicted path."""
        return self.folder / "film.mp4"

    @property
    def sheet(self) -> Path:
        """Some pictures of the film."""
        return self.folder / "contact_sheet.png"

    @property
    def result(self) -> Path:
        """The facts, see `result`."""
        return self.folder / "result.json"

    @property
    def bag(self) -> Path:
        """Recording of the whole run, see docs/how_to/record.md."""
        return self.folder / "bag"

    @property
    def logs(self) -> Path:
        """Folder with what the nodes printed."""
        return self.folder / "log"


def result(episodes: Sequence[RosEpisode], instruction: str, files: DemoFiles) -> dict[str, object]:
    """The facts of a demo; the first six keys are fixed."""
    latency = percentiles([timing for episode in episodes for timing in episode.timings])
    return {
        "success": all(episode.success for episode in episodes),
        "episodes": len(episodes),
        "instruction": instruction,
        "film": str(files.film),
        "camera_frames_received": frames_received(episodes),
        "observation_to_command_ms_p95": latency["total"]["p95"],
        "successes": sum(episode.success for episode in episodes),
        "contact_sheet": str(files.sheet),
        "bag": str(files.bag),
        "observation_to_command_ms": latency,
        "by_episode": [asdict(episode) | {"real_time_factor": episode.real_time_factor} for episode in episodes],
    }


def write_result(facts: Mapping[str, object], paths: Sequence[Path]) -> None:
    """Write the facts to JSON files; a number that is not known becomes null."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known(facts), indent=1, allow_nan=False) + "\n")
