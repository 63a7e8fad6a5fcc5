"""A LeRobot data set has the published layout, and gives back what was written."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from demonstrated import CAMERAS, FPS, good, trajectory

from dvla_ros.datasets.lerobot_layout import VIDEO_PATH
from dvla_ros.datasets.lerobot_source import LerobotSource
from dvla_ros.datasets.lerobot_video import VideoReader
from dvla_ros.datasets.lerobot_writer import LerobotWriter
from dvla_ros.datasets.pictures import Pictures
from dvla_ros.errors import RecordingError

LOSS = 3.0
"""What the video may change on average, of 255; the smooth test pictures lose less."""


def written(folder, trajectories, storage="video", **settings):
    writer = LerobotWriter(folder, CAMERAS, FPS, storage=storage, **settings)
    for one in trajectories:
        writer.add(one)
    writer.close()
    return folder


def stacked(pictures):
    return np.stack([pictures[i] for i in range(len(pictures))])


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Three episodes with videos."""
    return written(tmp_path_factory.mktemp("sets") / "video", good(3))


@pytest.mark.parametrize("storage", ["video", "parquet"])
def test_what_is_written_is_read_back(storage, tmp_path, video):
    folder = video if storage == "video" else written(tmp_path / "set", good(3), storage)
    source = LerobotSource(folder)
    read = list(source.trajectories())
    assert (source.cameras, source.fps, source.episodes, source.warnings) == (CAMERAS, FPS, 3, [])
    for one, expected in zip(read, good(3), strict=True):
        assert (one.episode, one.instruction) == (expected.episode, expected.instruction)
        assert np.array_equal(one.states, expected.states) and one.states.dtype == np.float32
        assert np.array_equal(one.actions, expected.actions)
        lost = np.abs(stacked(one.pictures).astype(int) - stacked(expected.pictures))
        assert lost.mean() < LOSS if storage == "video" else lost.max() == 0


def test_pictures_of_a_video_belong_to_their_frames(video):
    """The bar at the bottom, which grows by a pixel a frame, is nearest to its own original."""
    for one, expected in zip(LerobotSource(video).trajectories(), good(3), strict=True):
        found, true = (stacked(p.pictures)[:, 0, -8:, :, 0].astype(float) for p in (one, expected))
        errors = np.abs(found[:, None] - true[None]).mean(axis=(2, 3))
        assert (errors.argmin(axis=1) == np.arange(len(true))).all()


def test_info_says_what_is_there(video):
    info = json.loads((video / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"], info["fps"]) == (3, 120, 2, 5)
    assert info["splits"] == {"train": "0:3"} and info["robot_type"] == "wx250s"
    assert info["data_path"] == "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    assert info["video_path"] == "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
    features = info["features"]
    assert features["action"] == {
        "dtype": "float32",
        "shape": [7],
        "names": ["dx", "dy", "dz", "droll", "dpitch", "dyaw", "gripper"],
    }
    assert features["observation.images.front"]["shape"] == [48, 64, 3]
    assert features["observation.images.front"]["dtype"] == "video"
    assert {"timestamp", "frame_index", "episode_index", "index", "task_index"} <= set(features)


def test_rows_are_numbered_through_the_set_and_stamped_from_each_episode_s_start(video):
    table = pq.read_table(video / "data/chunk-000/file-000.parquet").to_pydict()
    assert table["index"] == list(range(120))
    assert table["episode_index"] == [0] * 40 + [1] * 40 + [2] * 40
    assert table["frame_index"][38:42] == [38, 39, 0, 1]
    assert table["timestamp"][38:42] == pytest.approx([7.6, 7.8, 0.0, 0.2], abs=1e-6)
    assert table["task_index"][::40] == [0, 1, 0]
    assert "observation.images.front" not in table


def test_episodes_say_where_their_rows_and_pictures_are(video):
    rows = pq.read_table(video / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["length"] for row in rows] == [40, 40, 40]
    assert [(row["dataset_from_index"], row["dataset_to_index"]) for row in rows] == [(0, 40), (40, 80), (80, 120)]
    assert [row["tasks"] for row in rows] == [["pick up the red cube"], ["wipe the table"], ["pick up the red cube"]]
    front = [(row["videos/observation.images.front/from_timestamp"]) for row in rows]
    assert front == pytest.approx([0.0, 8.0, 16.0])
    assert rows[1]["stats/action/mean"] == pytest.approx(good(3)[1].actions.mean(axis=0), abs=1e-6)
    assert np.shape(rows[1]["stats/observation.images.wrist/mean"]) == (3, 1, 1)


def test_sentences_are_the_index_of_the_table_of_tasks(video):
    table = pq.read_table(video / "meta/tasks.parquet")
    assert table.to_pydict() == {"task_index": [0, 1], "task": ["pick up the red cube", "wipe the table"]}
    assert json.loads(table.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_statistics_of_the_whole_set_are_those_of_its_rows_and_pixels(tmp_path):
    folder = written(tmp_path / "set", good(2), "parquet")
    stats = json.loads((folder / "meta/stats.json").read_text())
    actions = np.concatenate([one.actions for one in good(2)])
    pixels = np.concatenate([stacked(one.pictures)[:, 0] for one in good(2)]).reshape(-1, 3) / 255.0
    assert stats["action"]["count"] == [80]
    for found, rows in ((stats["action"], actions), (stats["observation.images.front"], pixels)):
        flat = {name: np.ravel(value) for name, value in found.items()}
        assert flat["mean"] == pytest.approx(rows.mean(0), abs=1e-6)
        assert flat["std"] == pytest.approx(rows.std(0), abs=1e-6)
        assert flat["min"] == pytest.approx(rows.min(0)) and flat["max"] == pytest.approx(rows.max(0))
        assert flat["q99"] == pytest.approx(np.quantile(rows, 0.99, axis=0), abs=0.005)


def test_files_of_a_camera_can_be_several(tmp_path, monkeypatch):
    monkeypatch.setattr("dvla_ros.datasets.lerobot_video.VIDEO_FILE_MB", 0)
    monkeypatch.setattr("dvla_ros.datasets.lerobot_tables.DATA_FILE_MB", 0)
    folder = written(tmp_path / "set", good(2))
    assert len(list(folder.glob("videos/observation.images.front/*/*.mp4"))) == 2
    assert len(list(folder.glob("data/*/*.parquet"))) == 2
    for one, expected in zip(LerobotSource(folder).trajectories(), good(2), strict=True):
        assert np.array_equal(one.actions, expected.actions)
        assert np.abs(stacked(one.pictures).astype(int) - stacked(expected.pictures)).mean() < LOSS


def test_some_cameras_in_another_order_and_size(video):
    source = LerobotSource(video, cameras=("wrist",), size=(32, 24))
    assert source.cameras == ("wrist",)
    assert next(source.trajectories()).pictures.size == (32, 24)


def test_numbers_are_read_without_opening_a_video(video, monkeypatch):
    monkeypatch.setattr(VideoReader, "__init__", lambda *_: pytest.fail("a video was opened"))
    assert sum(len(one) for one in LerobotSource(video, pictures=False).trajectories()) == 120


def test_an_episode_with_two_sentences_is_two_trajectories(video, tmp_path):
    import shutil

    folder = shutil.copytree(video, tmp_path / "copy")
    path = folder / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    sentences = [0] * 10 + [1] * 110
    column = table.schema.get_field_index("task_index")
    pq.write_table(table.set_column(column, "task_index", [sentences]), path)
    read = list(LerobotSource(folder, pictures=False).trajectories())
    assert [(one.episode, one.instruction, len(one)) for one in read][:2] == [
        (0, "pick up the red cube", 10),
        (0, "wipe the table", 30),
    ]


def test_columns_of_another_name_are_told(video, tmp_path):
    import shutil

    folder = shutil.copytree(video, tmp_path / "copy")
    path = folder / "meta/info.json"
    path.write_text(path.read_text().replace('"dx"', '"motor_1"'))
    (warning,) = LerobotSource(folder).warnings
    assert "motor_1" in warning


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "meta/info.json").unlink(), "no LeRobot data set"),
        (lambda f: (f / "meta/info.json").write_text("{"), "broken"),
        (lambda f: replace_text(f / "meta/info.json", '"v3.0"', '"v2.1"'), "v2.1"),
        (lambda f: replace_text(f / "meta/info.json", '"action"', '"actions"'), "no action"),
        (lambda f: (f / "meta/tasks.parquet").write_bytes(b"PAR1"), "tasks.parquet"),
        (lambda f: (f / "meta/episodes/chunk-000/file-000.parquet").unlink(), "meta/episodes"),
        (lambda f: (f / "data/chunk-000/file-000.parquet").unlink(), "file-000.parquet"),
        (lambda f: video_of(f).unlink(), "missing"),
        (lambda f: video_of(f).write_bytes(b"no video"), "cannot be read"),
    ],
)
def test_a_broken_set_is_one_clear_error(video, tmp_path, spoil, message):
    import shutil

    folder = shutil.copytree(video, tmp_path / "copy")
    spoil(folder)
    with pytest.raises(RecordingError, match=message):
        list(LerobotSource(folder).trajectories())


def video_of(folder):
    return folder / VIDEO_PATH.format(video_key="observation.images.wrist", chunk_index=0, file_index=0)


def replace_text(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_missing_camera_is_named(video):
    with pytest.raises(RecordingError, match="not side"):
        LerobotSource(video, cameras=("side",))


def test_an_odd_size_is_refused_for_a_video_and_kept_in_tables(tmp_path):
    one = trajectory(frames=4)
    odd = replace(one, pictures=Pictures(stacked(one.pictures)[:, :, :47, :63]))
    with pytest.raises(RecordingError, match="63x47.*parquet"):
        written(tmp_path / "video", [odd])
    written(tmp_path / "tables", [odd], "parquet")
    assert next(LerobotSource(tmp_path / "tables").trajectories()).pictures.size == (63, 47)


def test_a_folder_is_not_written_twice(video):
    with pytest.raises(RecordingError, match="already"):
        LerobotWriter(video, CAMERAS, FPS)
