"""What is known at present; every new fact is drawn by the panels that it concerns."""

from collections import OrderedDict

import numpy as np

from dvla_ros.view.camera_poses import CameraPoses
from dvla_ros.view.chunk_path import chunk_path
from dvla_ros.view.facts import (
    Calibration,
    Commanded,
    Fact,
    Imagined,
    Instruction,
    Measured,
    Outcome,
    Picture,
    Policy,
    Published,
    Reasoning,
    Status,
    Traced,
)
from dvla_ros.view.joint_track import JointTrack
from dvla_ros.view.panels.cameras import CameraPanel
from dvla_ros.view.panels.canvas import CanvasPanel
from dvla_ros.view.panels.plots import PlotPanel
from dvla_ros.view.panels.schedule import SchedulePanel
from dvla_ros.view.panels.space import SpacePanel
from dvla_ros.view.panels.words import WordPanel
from dvla_ros.view.rerun_stream import RerunStream

_REMEMBERED = 50
"""Chunks whose time of publication is known when their trace comes."""
_COMMAND_HOLDS_S = 2.0
"""An older command is no longer where a chunk starts from: the arm may have been moved since."""


class Scene:
    """The view, the same live and for recordings. Not thread-safe: facts come from one thread.

    Args:
        stream: Where to log.
        poses: Where the cameras are.
    """

    def __init__(self, stream: RerunStream, poses: CameraPoses) -> None:
        self._cameras, self._space = CameraPanel(stream, poses), SpacePanel(stream)
        self._canvas, self._schedule = CanvasPanel(stream), SchedulePanel(stream)
        self._plots, self._words = PlotPanel(stream), WordPanel(stream)
        self._measured, self._commanded = JointTrack(), JointTrack()
        self._published: OrderedDict[tuple[int, int], float] = OrderedDict()
        self._present: Published | None = None
        self._path: np.ndarray | None = None

    def see(self, fact: Fact) -> None:
        """Draw a fact."""
        match fact:
            case Picture():
                self._see_picture(fact)
            case Measured():
                self._measured.add(fact.stamp, fact.joints)
                self._space.see_measured(fact)
            case Commanded():
                self._commanded.add(fact.stamp, fact.joints)
            case Published():
                self._see_chunk(fact)
            case Traced():
                self._see_trace(fact)
            case Status():
                self._words.see_status(fact)
                self._schedule.see_status(fact)
            case Calibration():
                self._cameras.see_calibration(fact)
            case Imagined():
                self._cameras.see_imagined(fact)
            case Instruction():
                self._words.see_instruction(fact)
            case Reasoning():
                self._words.see_reasoning(fact)
            case Outcome():
                self._words.see_outcome(fact)
            case Policy():
                self._words.see_policy(fact)

    def warn(self, stamp: float, text: str) -> None:
        """Say in the view that something was left out."""
        self._words.warn(stamp, text)

    def _see_picture(self, fact: Picture) -> None:
        joints = self._measured.before(fact.stamp)
        present = self._present
        if present is not None and fact.stamp >= present.chunk.end:
            present = None
        chunk = None if present is None else present.chunk
        self._cameras.see_picture(fact, joints, None if chunk is None else self._path, chunk)

    def _see_chunk(self, fact: Published) -> None:
        self._published[fact.key] = fact.stamp
        while len(self._published) > _REMEMBERED:
            self._published.popitem(last=False)
        self._present, self._path = fact, None
        joints = self._commanded.before(fact.chunk.stamp, _COMMAND_HOLDS_S)
        if joints is None:
            joints = self._measured.before(fact.chunk.stamp)
        if joints is not None:
            self._path = chunk_path(fact.chunk, joints)
            self._space.see_path(fact.stamp, fact.chunk, self._path)
        self._schedule.see_chunk(fact)
        self._plots.see_chunk(fact)

    def _see_trace(self, fact: Traced) -> None:
        """A trace belongs to the time at which its chunk was published."""
        stamp = self._published.get((fact.trace.epoch, fact.trace.sequence), fact.stamp)
        self._canvas.see_trace(stamp, fact.trace)
        self._plots.see_trace(stamp, fact.trace)
