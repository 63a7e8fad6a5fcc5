"""What is drawn, read back from the file: it equals what was told."""

import cv2
import numpy as np
import pytest
from viewed import BEGIN, published, trace

pytest.importorskip("rerun", reason="the extra `view` is not installed")

from rrd import pixels_of, read_rrd

from dvla_ros.control.kinematics import forward
from dvla_ros.control.widowx import NEUTRAL
from dvla_ros.evaluation.predicted_path import predicted_path, project
from dvla_ros.view.camera_poses import SIMULATION, SimulatedCameras, UnknownCameras, camera_poses
from dvla_ros.view.facts import (
    Calibration,
    Commanded,
    Imagined,
    Instruction,
    Measured,
    Outcome,
    Picture,
    Policy,
    Reasoning,
    Status,
    Traced,
)
from dvla_ros.view.rerun_stream import RerunStream
from dvla_ros.view.scene import Scene
from dvla_ros.view.trace import Segment, Trace

K = np.array([[300.0, 0.0, 160.0], [0.0, 300.0, 120.0], [0.0, 0.0, 1.0]])
START = NEUTRAL + 0.05
SEGMENTS = (Segment("image_front", 1, 4), Segment("action", 2, 3))


@pytest.fixture
def drawn(tmp_path):
    """What a scene that sees some facts has drawn."""

    def draw(*facts, poses=None):
        with RerunStream.to_file(tmp_path / "scene.rrd") as stream:
            scene = Scene(stream, poses or UnknownCameras())
            for fact in facts:
                scene.see(fact)
        return read_rrd(tmp_path / "scene.rrd")

    return draw


def picture(stamp=BEGIN):
    return Picture("front", stamp, cv2.imencode(".png", np.full((4, 6, 3), 90, np.uint8))[1].tobytes(), "image/png")


def status(**changes):
    told = {"state": "following", "reason": "", "message": "", "epoch": 7, "sequence": 1, "accepted": True}
    return Status(**({"stamp": BEGIN} | told | changes))


def test_the_path_in_a_picture_is_where_the_chunk_leads(drawn):
    poses = camera_poses(SIMULATION)
    told = (Calibration("front", K, 320, 240), Measured(BEGIN, NEUTRAL), Commanded(BEGIN, START), published())
    found = drawn(*told, picture(BEGIN + 0.25), poses=poses)
    path = predicted_path(published().chunk.actions, forward(START))
    pixels = project(path, SimulatedCameras().pose("front", NEUTRAL), K)
    (rows,) = found["/cameras/front/path/rows"]["positions"]
    np.testing.assert_allclose(rows.value, pixels[1:], atol=0.01)
    assert rows.time == pytest.approx(BEGIN + 0.25, abs=1e-6)
    (closes,) = found["/cameras/front/path/closes"]["positions"]
    np.testing.assert_allclose(closes.value, pixels[[6]], atol=0.01)
    (space,) = found["/world/path/rows"]["positions"]
    np.testing.assert_allclose(space.value, path[1:], atol=1e-5)
    assert (space.time, space.chunk) == (pytest.approx(BEGIN + 0.05, abs=1e-6), 1)


def test_the_picture_itself_is_shown_byte_for_byte_at_its_time(drawn):
    found = drawn(picture())["/cameras/front/image"]
    assert bytes(found["blob"][0].value[0]) == picture().file
    assert found["media_type"][0].value == ["image/png"]
    assert found["blob"][0].time == pytest.approx(BEGIN, abs=1e-6)


def test_without_poses_the_path_is_drawn_in_space_only(drawn):
    found = drawn(Calibration("front", K, 320, 240), Measured(BEGIN, NEUTRAL), published(), picture())
    assert "/world/path/rows" in found
    assert not any(entity.startswith("/cameras/front/path") for entity in found)


def test_a_path_that_is_over_disappears_from_the_picture(drawn):
    told = (Calibration("front", K, 320, 240), Measured(BEGIN, NEUTRAL), published(), picture(), picture(BEGIN + 9.0))
    cleared = drawn(*told, poses=camera_poses(SIMULATION))["/cameras/front/path"]["is_recursive"]
    assert [logged.time for logged in cleared] == [pytest.approx(BEGIN + 9.0, abs=1e-6)]


def test_the_arm_and_its_trail_end_at_the_end_effector(drawn):
    found = drawn(Measured(BEGIN, NEUTRAL), Measured(BEGIN + 0.01, START), Measured(BEGIN + 0.2, START))
    trail = found["/world/trail"]["strips"]
    assert [logged.time for logged in trail] == pytest.approx([BEGIN, BEGIN + 0.2], abs=1e-6)
    (points,) = trail[-1].value
    ends = [forward(NEUTRAL)[:3, 3], forward(START)[:3, 3]]
    np.testing.assert_allclose(points, ends, atol=1e-6)
    (links,) = found["/world/arm"]["strips"][-1].value
    np.testing.assert_allclose([links[0], links[-1]], [np.zeros(3), ends[1]], atol=1e-6)


def test_the_canvas_says_what_each_cell_is_and_how_confident(drawn):
    made = trace(segments=SEGMENTS)
    found = drawn(published(), Traced(BEGIN + 5.0, made))
    for (segment, where), name in zip(made.parts(), ("image_front", "action"), strict=True):
        cells, confidence = (found[f"/canvas/{name}/{kind}"]["buffer"][0] for kind in ("cells", "confidence"))
        shape = (3, segment.size)
        np.testing.assert_array_equal(pixels_of(cells.value, np.uint8, shape), made.cells()[:, where])
        np.testing.assert_array_equal(pixels_of(confidence.value, np.float32, shape), made.confidence[:, where])
        assert found[f"/canvas/{name}/heat_map"]["buffer"]
    assert cells.time == pytest.approx(BEGIN + 0.05, abs=1e-6), "a trace stands at the time of its chunk"
    assert cells.chunk == 1


def test_a_policy_without_tokens_has_no_canvas(drawn):
    empty = Trace(7, 1, (), *(np.empty((0, 0)),) * 5, 300, 0.01, 0.0, 0.2)
    found = drawn(published(), Traced(BEGIN, empty))
    assert not any(entity.startswith("/canvas/") for entity in found)
    assert found["/plots/latency_ms/denoise"]["scalars"][0].value == pytest.approx([200.0])


def test_numbers_of_a_chunk_are_plotted_at_its_publication(drawn):
    found = drawn(published(), Traced(BEGIN, trace()))
    expected = {
        "latency_ms/observation_to_publication": 150.0,
        "latency_ms/preprocess": 10.0,
        "latency_ms/prefill": 30.0,
        "latency_ms/denoise": 60.0,
        "nfe": 6.0,
        "denoising_steps": 3.0,
        "confidence/mean": 0.5,
        "confidence/least": 0.0,
    }
    for name, value in expected.items():
        (logged,) = found[f"/plots/{name}"]["scalars"]
        assert logged.value == pytest.approx([value], abs=1e-5), name
        assert logged.time == pytest.approx(BEGIN + 0.05, abs=1e-6)


def test_seams_and_frozen_rows_are_plotted_and_every_row_is_in_the_schedule(drawn):
    actions = published().chunk.actions.copy()
    actions[:, 1] += 0.003
    late = published(2, BEGIN + 0.6, actions=actions, frozen_steps=2)
    found = drawn(published(), late)
    assert found["/seams/jump_mm"]["scalars"][0].value == pytest.approx([3.0], abs=1e-3)
    assert [logged.value for logged in found["/seams/frozen_rows"]["scalars"]] == [[0.0], [2.0]]
    kinds = found["/schedule/rows"]["class_ids"][-1]
    assert kinds.value == [0] * 5 + [3] * 3 + [1] * 2 + [0] * 6
    assert kinds.chunk == 2
    assert found["/schedule/rows"]["labels"][-1].value[8] == "2.0"


def test_a_refused_chunk_is_seen_in_the_schedule(drawn):
    found = drawn(published(), status(stamp=BEGIN + 0.06, accepted=False, state="holding", reason="start_jump"))
    assert found["/schedule/rows"]["class_ids"][-1].value == [4] * 8


def test_words_are_logged_where_they_change(drawn):
    fault = status(state="fault", reason="estop", message="the button was pressed", accepted=True)
    told = (Instruction(BEGIN, "pick"), Instruction(BEGIN + 1, "pick"), Instruction(BEGIN + 2, "put"))
    found = drawn(*told, status(), status(), fault, Reasoning(BEGIN, "it is left"), Outcome(BEGIN, "episode 1", False))
    assert [logged.value for logged in found["/log/instruction"]["text"]] == [["pick"], ["put"]]
    assert [logged.value for logged in found["/log/controller"]["text"]] == [
        ["following"],
        ["fault: estop: the button was pressed"],
    ]
    assert found["/log/controller"]["level"][-1].value == ["CRITICAL"]
    assert found["/said/reasoning"]["text"][0].value == ["it is left"]
    assert found["/log/scene"]["text"][0].value == ["episode 1"]


def test_what_answers_is_a_table(drawn):
    (logged,) = drawn(Policy(BEGIN, (("checkpoint", "a|b"), ("seed", "3"))))["/said/policy"]["text"]
    assert "| checkpoint | a\\|b |\n| seed | 3 |" in logged.value[0]
    assert logged.time is None


def test_an_imagined_picture_is_shown_as_it_is(drawn):
    image = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    (logged,) = drawn(Imagined("front", BEGIN, image))["/imagined/front"]["buffer"]
    np.testing.assert_array_equal(pixels_of(logged.value, np.uint8, image.shape), image)


def test_a_chunk_with_numbers_that_are_none_draws_what_is_finite(drawn):
    actions = published().chunk.actions.copy()
    actions[4:, 0] = np.nan
    found = drawn(Measured(BEGIN, NEUTRAL), published(actions=actions))
    assert len(found["/world/path/rows"]["positions"][0].value) == 4
