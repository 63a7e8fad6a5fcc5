"""Each check sees what it is for, and is silent about a good data set."""

from dataclasses import replace

import numpy as np
import pytest
from demonstrated import HeldSource, good

from dvla_ros.datasets.checks.streams import StreamTimes, check_streams
from dvla_ros.datasets.examination import examine


def spoiled(change, part="actions"):
    """A good set of which `change` alters the states or the actions of each episode, a copy."""
    held = []
    for one in good(4):
        rows = getattr(one, part).copy()
        held.append(replace(one, **{part: change(rows)}))
    return examine(HeldSource(held))


def column(index, new):
    """A change of one column."""

    def change(rows):
        rows[:, index] = new(rows[:, index])
        return rows

    return change


def columns(where, new):
    def change(rows):
        rows[:, where] = new(rows[:, where])
        return rows

    return change


def test_a_good_set_has_nothing_wrong():
    found = examine(HeldSource(good(4)))
    assert found.findings == () and found.usable
    assert (found.episodes, found.frames, found.idle_share) == (4, 160, 0.0)
    assert set(found.instructions) == {"pick up the red cube", "wipe the table"}
    assert all(0.97 <= share <= 1.0 for share in found.coverage)


@pytest.mark.parametrize(
    ("change", "part", "check", "words"),
    [
        (lambda rows: rows[:, :6], "actions", "dimension", "6 columns"),
        (lambda rows: np.where(rows == rows[3, 2], np.nan, rows), "states", "finite", "columns 2"),
        (columns(slice(0, 3), lambda x: 1000 * x), "states", "units", "Millimetres"),
        (columns(slice(0, 3), lambda x: 1000 * x), "actions", "units", "millimetres"),
        (columns(slice(3, 6), np.degrees), "states", "units", "Degrees"),
        (columns(slice(3, 6), lambda x: 100 * x), "actions", "units", "degrees"),
        (column(6, lambda x: 255 * x), "actions", "gripper", "255"),
        (column(6, lambda x: 2 * x - 1), "actions", "gripper", "-1..1"),
        (column(6, lambda x: 0.015 + 0.022 * x), "states", "gripper", "metres"),
        (column(6, lambda x: 1 - x), "actions", "gripper", "goes against"),
        (column(6, lambda x: 1 - x), "states", "gripper", "goes against"),
    ],
)
def test_what_makes_a_set_unusable_is_an_error(change, part, check, words):
    found = spoiled(change, part)
    (finding,) = [finding for finding in found.findings if finding.level == "error"]
    assert finding.check == check and words in finding.text and not found.usable


@pytest.mark.parametrize(
    ("change", "part", "check", "words"),
    [
        (column(6, np.ones_like), "actions", "gripper", "never moves"),
        (column(2, np.zeros_like), "actions", "constant", "dz"),
        (columns(slice(0, 3), lambda x: 4 * x), "actions", "scale", "would be clipped"),
        (columns(slice(0, 3), lambda x: 0.05 * x), "actions", "scale", "mm along each axis"),
        (column(0, lambda x: -x), "actions", "direction", "dx"),
        (columns([0, 1], lambda x: x[:, ::-1] * [1, -1]), "actions", "direction", "swapped axis"),
        (columns(slice(0, 6), lambda x: np.where(np.arange(len(x))[:, None] % 2 < 1, 0, x)), "actions", "idle", "trim"),
    ],
)
def test_what_looks_wrong_is_a_warning(change, part, check, words):
    found = spoiled(change, part)
    assert found.usable
    assert any(finding.check == check and words in finding.text for finding in found.findings)


def test_a_single_bad_sample_is_found_by_its_frame():
    held = good(4)
    states = held[1].states.copy()
    states[7, 1] = 2.0
    (finding,) = examine(HeldSource([held[0], replace(held[1], states=states), *held[2:]])).findings
    assert finding.check == "outliers" and "frame 47" in finding.text and "2" in finding.text


def test_both_grippers_the_wrong_way_round_are_seen_at_the_start_of_the_episodes():
    held = [
        replace(one, **{part: column(6, lambda x: 1 - x)(getattr(one, part).copy()) for part in ("states", "actions")})
        for one in good(4)
    ]
    (finding,) = examine(HeldSource(held)).findings
    assert finding.check == "gripper" and "begin with it closed" in finding.text


def test_episodes_without_a_sentence_are_counted():
    held = good(4)
    found = examine(HeldSource([replace(held[0], instruction=" "), *held[1:]]))
    (finding,) = found.findings
    assert finding.check == "instruction" and "1 of 4" in finding.text and found.usable
    assert not examine(HeldSource([replace(one, instruction="") for one in held])).usable


def test_short_and_empty_episodes_are_counted():
    held = [*good(4), replace(good(1)[0].select(np.arange(5)), episode=4)]
    (short,) = examine(HeldSource(held)).findings
    assert short.check == "short" and "1 of 5" in short.text
    (missing,) = examine(HeldSource(good(4), empty=2)).findings
    assert "2 of 6 episodes gave no usable frame" in missing.text


def test_a_set_without_frames_says_so_and_has_no_statistics():
    found = examine(HeldSource([], warnings=["the camera was dead."]))
    assert not found.usable and found.statistics is None
    assert "the camera was dead" in found.findings[0].text


def test_the_statistics_are_those_of_all_rows():
    found = examine(HeldSource(good(4))).statistics
    for block, rows in (
        (found.action, np.concatenate([one.actions for one in good(4)]).astype(float)),
        (found.proprio, np.concatenate([one.states for one in good(4)]).astype(float)),
    ):
        ordered = np.sort(rows, axis=0)
        place = 0.01 * (len(rows) - 1)
        low = ordered[int(place)] + (place % 1) * (ordered[int(place) + 1] - ordered[int(place)])
        assert block.mean == pytest.approx(rows.sum(0) / len(rows))
        assert block.std == pytest.approx(np.sqrt(((rows - rows.mean(0)) ** 2).mean(0)), abs=1e-9)
        assert block.q01 == pytest.approx(low) and block.q99 == pytest.approx(-quantile_of_negative(rows))
        assert block.min == pytest.approx(ordered[0]) and block.max == pytest.approx(ordered[-1])
    assert found.action.mask.tolist() == [True] * 6 + [False]
    assert (found.num_trajectories, found.num_transitions) == (4, 160)


def quantile_of_negative(rows):
    """The 1st percentile of -x, in another way than the code's."""
    ordered = np.sort(-rows, axis=0)
    place = 0.01 * (len(rows) - 1)
    return ordered[int(place)] + (place % 1) * (ordered[int(place) + 1] - ordered[int(place)])


def stream(topic, stamps, age=0.01):
    stamps = np.asarray(stamps, float)
    return StreamTimes(topic, stamps, stamps + age)


CAMERA = stream("/camera", 100 + np.arange(150) / 15)
JOINTS = stream("/joints", 100 + np.arange(1000) / 100)


def told(*streams):
    return [(finding.check, finding.text) for finding in check_streams({one.topic: one for one in streams})]


def test_good_streams_have_nothing_wrong():
    assert told(CAMERA, JOINTS) == []


def test_a_pause_of_all_streams_is_no_loss_but_one_camera_s_silence_is():
    paused = [replace(one, stamps=np.where(one.stamps > 105, one.stamps + 5, one.stamps)) for one in (CAMERA, JOINTS)]
    paused = [replace(one, received=one.stamps + 0.01) for one in paused]
    assert told(*paused) == []
    silent = stream("/camera", CAMERA.stamps[(CAMERA.stamps < 103) | (CAMERA.stamps > 105)])
    ((check, text),) = told(silent, JOINTS)
    assert check == "lost" and "about 31 of 150" in text


def test_lost_pictures_are_counted():
    kept = np.random.default_rng(0).random(150) > 0.2
    ((check, text),) = told(stream("/camera", CAMERA.stamps[kept]), JOINTS)
    assert check == "lost" and "/camera" in text and "15.0 a second" in text


@pytest.mark.parametrize(
    ("camera", "check", "words"),
    [
        (replace(CAMERA, received=CAMERA.stamps + 0.25), "clock skew", "0.240 s"),
        (replace(CAMERA, received=CAMERA.stamps + 0.01 + 0.01 * np.arange(150) / 15), "clock skew", "drift"),
        (replace(CAMERA, stamps=np.where(np.arange(150) % 50 == 7, CAMERA.stamps - 1, CAMERA.stamps)), "stamps", "3 t"),
        (replace(CAMERA, stamps=np.zeros(150)), "stamps", "never set"),
        (stream("/camera", [100.0, 101.0]), "streams", "2 messages"),
    ],
)
def test_clocks_and_stamps_that_are_wrong_are_told(camera, check, words):
    assert any(found == check and words in text and "/camera" in text for found, text in told(camera, JOINTS))


def test_stamps_of_another_clock_are_told_once():
    simulated = [replace(one, received=one.received + 1e9) for one in (CAMERA, JOINTS)]
    ((check, text),) = told(*simulated)
    assert check == "clock skew" and "--stamp-source receive" in text
