"""Records each episode and draws it into one film and one contact sheet."""

from collections.abc import Sequence
from types import TracebackType

import numpy as np
from rclpy.node import Node

from dvla_ros.evaluation.episode_film import EpisodeFilm, FilmedChunk, filmed_chunk
from dvla_ros.evaluation.film import FilmWriter, contact_sheet, draw_scene, write_png
from dvla_ros.evaluation.predicted_path import CameraGeometry
from dvla_ros.evaluation.ros_episode import RosEpisode
from dvla_ros.nodes.chunk_monitor import ChunkMonitor, MonitoredChunk
from dvla_ros.nodes.demo_report import DemoFiles
from dvla_ros.nodes.film_recorder import FilmRecorder
from dvla_ros.simulation.scene import build_model

SHEET_PICTURES = 6
"""Pictures of each episode on the contact sheet; the last one carries the verdict."""


class FilmMaker:
    """Film and contact sheet of a demo; a context manager, both are complete once it is left.

    Args:
        node: The node that subscribes to the cameras.
        robot_name: Namespace of the robot's topics.
        cameras: Camera names.
        monitor: Has the chunks of the episode.
        files: Where to write.
    """

    def __init__(
        self, node: Node, robot_name: str, cameras: Sequence[str], monitor: ChunkMonitor, files: DemoFiles
    ) -> None:
        files.folder.mkdir(parents=True, exist_ok=True)
        self._recorder = FilmRecorder(node, robot_name, cameras)
        self._monitor, self._files = monitor, files
        self._geometry = CameraGeometry(build_model())
        self._writer = FilmWriter(files.film)
        self._sheet: list[np.ndarray] = []

    def __enter__(self) -> "FilmMaker":
        self._writer.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def start(self) -> None:
        """Record from now on."""
        self._recorder.start()

    def finish(self, episode: RosEpisode, began: float) -> None:
        """Stop recording and draw the episode, which was reset at the time `began` in seconds."""
        recording = self._recorder.stop()
        ended = began + episode.wall_s
        film = EpisodeFilm(recording, self._chunks(), episode.instruction, episode.success, self._geometry)
        for scene in film.scenes(began, ended):
            picture = draw_scene(scene)
            self._writer.write(picture)
        for time_s in np.linspace(began, ended, SHEET_PICTURES)[:-1]:
            self._sheet.append(draw_scene(film.scene(float(time_s), began)))
        self._sheet.append(picture)
        write_png(self._files.sheet, contact_sheet(self._sheet))

    def _chunks(self) -> list[FilmedChunk]:
        filmed = []
        for monitored in self._monitor.chunks():
            start = self._monitor.pose_before(monitored.chunk.stamp)
            if start is not None:
                filmed.append(_filmed(monitored, start))
        return filmed


def _filmed(monitored: MonitoredChunk, start: np.ndarray) -> FilmedChunk:
    steps = 0 if monitored.trace is None else int(monitored.trace.num_steps)
    return filmed_chunk(monitored.chunk, monitored.published, start, steps, monitored.nfe, monitored.confidence)
