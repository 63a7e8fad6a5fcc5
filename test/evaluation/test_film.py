"""What the film shows, and that it can be played."""

import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from dvla_ros.control.bridge import ACTION_NAMES, DEFAULT_ROTATION
from dvla_ros.control.chunk import ActionChunk, ControlMode
from dvla_ros.control.widowx import NEUTRAL
from dvla_ros.evaluation.episode_film import EpisodeFilm, Recording, filmed_chunk
from dvla_ros.evaluation.film import (
    BAR,
    FILM_HZ,
    FilmWriter,
    PathView,
    Scene,
    contact_sheet,
    draw_path,
    draw_scene,
    write_png,
)
from dvla_ros.evaluation.predicted_path import CameraGeometry
from dvla_ros.simulation.scene import build_model

GREY = np.full((96, 128, 3), 90, np.uint8)
INTRINSICS = np.array([[100.0, 0.0, 64.0], [0.0, 100.0, 48.0], [0.0, 0.0, 1.0]])


def path_view(points, gripper=1.0, execute_steps=8, row=0):
    rows = len(points) - 1
    return PathView(np.array(points, float), np.full(rows, gripper), execute_steps, row)


def painted(path):
    picture = GREY.copy()
    draw_path(picture, path)
    return picture


def changed(picture):
    return (picture != GREY).any(axis=2)


def test_the_path_is_drawn_where_it_is():
    picture = painted(path_view([(20, 20), (60, 20), (60, 70)]))
    assert changed(picture)[20, 20:60].all() and changed(picture)[20:70, 60].all()
    assert not changed(picture)[70:, :40].any()


def test_reserve_rows_are_thinner():
    counts = [changed(painted(path_view([(20, 40), (100, 40)], execute_steps=n)))[:, 50].sum() for n in (1, 0)]
    assert counts[0] > counts[1] > 0


def test_rows_that_are_over_fade_to_grey():
    picture = painted(path_view([(20, 40), (60, 40), (100, 40)], row=1))
    over, to_come = picture[40, 40].astype(int), picture[40, 80].astype(int)
    assert np.ptp(over) == 0 and np.ptp(to_come) > 50


def test_a_closing_gripper_is_ringed():
    points, gripper = np.array([(20, 40), (40, 40), (60, 40), (80, 40)], float), np.array([1.0, 0.0, 0.0])
    picture = changed(painted(PathView(points, gripper, 8, 0)))
    assert picture[32, 60] and not picture[32, 40] and not picture[32, 80]


def test_points_behind_the_camera_and_far_away_are_no_problem():
    picture = painted(path_view([(20, 40), (np.nan, np.nan), (60, 40), (1e9, 40)]))
    assert not changed(picture)[40, 25:50].any()
    assert changed(picture)[40, 65:].all()


def test_a_scene_shows_the_cameras_side_by_side_above_the_text():
    scene = Scene({"front": GREY, "wrist": GREY}, {}, "pick up the red cube", "0.0 s")
    picture = draw_scene(scene)
    assert picture.shape == (96 + BAR, 256, 3)
    assert (picture[40:96] == 90).all()
    done = draw_scene(Scene(scene.images, {}, scene.instruction, scene.facts, verdict=True))
    assert (done[96:] != picture[96:]).any()


def test_the_film_can_be_played(tmp_path):
    with FilmWriter(tmp_path / "film.mp4") as film:
        for brightness in (40, 120, 200):
            film.write(np.full((112, 128, 3), brightness, np.uint8))
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4"))
    facts, frames = next(reader), [np.frombuffer(frame, np.uint8) for frame in reader]
    assert facts["size"] == (128, 112) and facts["fps"] == FILM_HZ
    assert [round(float(frame.mean()), -1) for frame in frames] == pytest.approx([40, 120, 200], abs=10)


def test_the_contact_sheet_has_rows_of_three(tmp_path):
    sheet = contact_sheet([GREY] * 4)
    assert sheet.shape == (960, 1920, 3)
    assert (sheet[:480] == 90).all() and (sheet[480:, :640] == 90).all() and (sheet[480:, 640:] < 40).all()
    write_png(tmp_path / "sheet.png", sheet)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "sheet.png"))[:, :, ::-1], sheet)


def jpeg(brightness):
    return cv2.imencode(".jpg", np.full_like(GREY, brightness))[1].tobytes()


@pytest.fixture(scope="module")
def film():
    """One second of film at 10 frames per second that get brighter; a chunk is published in the middle."""
    frames = [(100.0 + 0.1 * i, jpeg(10 * i)) for i in range(11)]
    times = np.array([99.0, 102.0])
    recording = Recording({"front": frames}, {"front": INTRINSICS}, times, np.array([NEUTRAL, NEUTRAL]))
    actions = np.tile(np.array([0.0, 0.02, 0.0, 0.0, 0.0, 0.0, 1.0], np.float32), (8, 1))
    chunk = ActionChunk(100.5, 0.2, actions, ControlMode.EE_DELTA, ACTION_NAMES, execute_steps=5)
    start = np.eye(4)
    start[:3, :3], start[:3, 3] = DEFAULT_ROTATION, (0.25, 0.0, 0.1)
    chunks = [filmed_chunk(chunk, 100.45, start, steps=12, nfe=12, confidence=0.75)]
    return EpisodeFilm(recording, chunks, "pick up the red cube", True, CameraGeometry(build_model()))


def test_a_scene_shows_the_newest_frame(film):
    assert film.scene(100.35, 100.0).images["front"].mean() == pytest.approx(30, abs=2)


def test_a_chunk_is_drawn_from_its_publication_on(film):
    before, after = film.scene(100.4, 100.0), film.scene(100.95, 100.0)
    assert before.paths == {} and "chunk" not in before.facts
    assert after.paths["front"].row == 2 and after.paths["front"].pixels.shape == (9, 2)
    assert "12 denoising steps" in after.facts and "0.75" in after.facts


def test_the_film_keeps_time_and_ends_with_the_verdict(film):
    scenes = list(film.scenes(100.0, 101.0))
    running = [scene for scene in scenes if scene.verdict is None]
    assert len(running) == FILM_HZ and len(scenes) > len(running)
    assert all(scene.verdict is True for scene in scenes[len(running) :])
    assert scenes[-1].images["front"].mean() == pytest.approx(100, abs=2)
