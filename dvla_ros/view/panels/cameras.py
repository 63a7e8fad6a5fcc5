"""What the cameras see, with the path of the present chunk drawn in."""

import numpy as np

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.evaluation.predicted_path import project
from dvla_ros.view.camera_poses import CameraPoses
from dvla_ros.view.chunk_path import closing_rows
from dvla_ros.view.colours import CLOSES, row_colours
from dvla_ros.view.facts import Calibration, Imagined, Picture
from dvla_ros.view.rerun_stream import RerunStream

_LINE, _ROW, _CLOSE = 2.0, 4.0, 9.0
"""Radii in pixels of the screen."""
_PLANE_M = 0.12
"""How far from a camera its picture stands in the view of space."""


def camera_entity(camera: str) -> str:
    """Where a camera is in the view."""
    return f"cameras/{camera}"


class CameraPanel:
    """Pictures with paths, the places of the cameras, and imagined pictures.

    Args:
        stream: Where to log.
        poses: Where the cameras are.
    """

    def __init__(self, stream: RerunStream, poses: CameraPoses) -> None:
        self._stream, self._poses = stream, poses
        self._intrinsics: dict[str, np.ndarray] = {}
        self._drawn: set[str] = set()

    def see_calibration(self, fact: Calibration) -> None:
        """Know the pinhole matrix of a camera from now on."""
        known = self._poses.intrinsics(fact.camera)
        intrinsics = fact.intrinsics if known is None else known
        if fact.camera in self._intrinsics and np.array_equal(self._intrinsics[fact.camera], intrinsics):
            return
        self._intrinsics[fact.camera] = intrinsics
        pinhole = self._stream.rr.Pinhole(
            image_from_camera=intrinsics, resolution=[fact.width, fact.height], image_plane_distance=_PLANE_M
        )
        self._stream.log_always(camera_entity(fact.camera), pinhole)

    def see_picture(
        self, fact: Picture, joints: np.ndarray | None, path: np.ndarray | None, chunk: ActionChunk | None
    ) -> None:
        """Show a picture.

        Args:
            fact: The picture.
            joints: `[6]` arm joints when it was taken; None: unknown.
            path: `[H + 1, 3]` of the present chunk in the base frame; None: there is none.
            chunk: The present chunk.
        """
        rr, entity = self._stream.rr, camera_entity(fact.camera)
        self._stream.at(fact.stamp)
        self._stream.log(f"{entity}/image", rr.EncodedImage(contents=fact.file, media_type=fact.media_type))
        pose = None if joints is None else self._poses.pose(fact.camera, joints)
        if pose is None:
            return
        self._stream.log(entity, rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
        intrinsics = self._intrinsics.get(fact.camera, self._poses.intrinsics(fact.camera))
        if path is not None and chunk is not None and intrinsics is not None:
            self._draw(entity, project(path, pose, intrinsics), chunk, fact.stamp)
        elif fact.camera in self._drawn:
            self._stream.log(f"{entity}/path", rr.Clear(recursive=True))
            self._drawn.discard(fact.camera)

    def see_imagined(self, fact: Imagined) -> None:
        """Show what the policy expects this camera to see."""
        self._stream.at(fact.stamp)
        self._stream.log(f"imagined/{fact.camera}", self._stream.rr.Image(fact.image))

    def _draw(self, entity: str, pixels: np.ndarray, chunk: ActionChunk, stamp: float) -> None:
        """The path as one strip per row, a dot at the end of each, and a ring where the gripper closes."""
        rr = self._stream.rr
        self._drawn.add(entity.rpartition("/")[2])
        over = int(np.clip((stamp - chunk.stamp) // chunk.dt, 0, chunk.horizon))
        colours = row_colours(chunk.horizon, over)
        seen = np.isfinite(pixels).all(axis=1)
        rows = np.flatnonzero(seen[:-1] & seen[1:])
        strips = np.stack([pixels[:-1], pixels[1:]], axis=1)[rows]
        radii = [rr.Radius.ui_points(_LINE if row < chunk.execute_steps else _LINE / 2) for row in rows]
        self._stream.log(
            f"{entity}/path/line", rr.LineStrips2D(strips, colors=colours[rows], radii=radii, draw_order=20)
        )
        ends = pixels[1:][rows]
        self._stream.log(
            f"{entity}/path/rows",
            rr.Points2D(ends, colors=colours[rows], radii=rr.Radius.ui_points(_ROW), draw_order=21),
        )
        closing = [row for row in closing_rows(chunk) if seen[row + 1]]
        self._stream.log(
            f"{entity}/path/closes",
            rr.Points2D(pixels[1:][closing], colors=CLOSES, radii=rr.Radius.ui_points(_CLOSE), draw_order=19),
        )
