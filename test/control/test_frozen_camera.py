"""A camera that sends new stamps on an old picture is named, a resting scene is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.control.assembler import AssemblerConfig, ObservationAssembler
from dvla_ros.control.frozen_camera import MOVED, UnchangedPicture, has_moved
from dvla_ros.errors import ObservationError

SIZE = (48, 64, 3)


def robot(**limits: float) -> ObservationAssembler:
    result = ObservationAssembler(AssemblerConfig(**limits), lambda value: np.full(7, value), lambda joints: joints)
    result.add_camera("front", lambda picture: picture, 20.0, content=lambda picture: picture)
    result.set_instruction("pick up the red cube")
    return result


def drive(
    target: ObservationAssembler, ticks: range, speed: float, frozen_from: int = 1000, noise: bool = True
) -> None:
    """Samples at 20 Hz with joints that move at `speed` rad/s; from a tick on the picture stays."""
    for tick in ticks:
        shown = min(tick, frozen_from)
        seed = shown if noise else round(shown * speed * 100.0)
        target.store_image("front", 1.0 + tick / 20, np.random.default_rng(seed).integers(0, 255, SIZE, np.uint8))
        target.store_joints(1.0 + tick / 20, speed * tick / 20)


def assemble(target: ObservationAssembler, tick: int) -> object:
    return target.assemble(1.0 + tick / 20, 0.0)


def test_a_camera_that_repeats_its_picture_while_the_arm_moves_is_frozen() -> None:
    streams = robot()
    drive(streams, range(20), speed=0.2, frozen_from=5)
    with pytest.raises(ObservationError, match="'front' is frozen: its picture .* for 0.70 s while the arm moved"):
        assemble(streams, 19)


@pytest.mark.parametrize(("tick", "frozen"), [(15, False), (16, True)])
def test_the_picture_may_stay_for_frozen_s(tick: int, frozen: bool) -> None:
    streams = robot(frozen_s=0.5)
    drive(streams, range(tick + 1), speed=0.5, frozen_from=5)
    assert bool(streams.problem(1.0 + tick / 20)) == frozen


def test_a_camera_that_goes_on_is_well_again() -> None:
    streams = robot()
    drive(streams, range(20), speed=0.2, frozen_from=5)
    drive(streams, range(20, 22), speed=0.2)
    assert assemble(streams, 21) is not None


def test_a_simulated_scene_at_rest_is_not_frozen() -> None:
    streams = robot()
    drive(streams, range(40), speed=0.0, noise=False)
    assert assemble(streams, 39) is not None


def test_a_scene_that_has_just_begun_to_move_is_not_frozen() -> None:
    streams = robot(max_skew_s=0.1)
    drive(streams, range(40), speed=0.0, noise=False)
    rest = np.random.default_rng(0).integers(0, 255, SIZE, np.uint8)
    for tick in (40, 41):
        streams.store_image("front", 1.0 + tick / 20, rest)
        streams.store_joints(1.0 + tick / 20, (tick - 39) * 0.05)
    assert assemble(streams, 41) is not None


def test_strictly_a_picture_must_change_even_at_rest() -> None:
    streams = robot(frozen_strict=True)
    drive(streams, range(40), speed=0.0, noise=False)
    with pytest.raises(ObservationError, match="'front' is frozen: its picture has been the same, byte for byte, for"):
        assemble(streams, 39)


def test_zero_seconds_switch_the_check_off() -> None:
    streams = robot(frozen_s=0.0)
    drive(streams, range(40), speed=0.5, frozen_from=5)
    assert assemble(streams, 39) is not None


def test_a_cleared_camera_starts_anew() -> None:
    streams = robot()
    drive(streams, range(20), speed=0.2, frozen_from=5)
    streams.clear()
    drive(streams, range(20, 24), speed=0.2, frozen_from=5)
    assert assemble(streams, 23) is not None


@given(st.integers(0, 20_000), st.integers(1, 255))
def test_one_other_byte_anywhere_makes_another_picture(where: int, change: int) -> None:
    picture = np.arange(20_001, dtype=np.uint32).astype(np.uint8)
    other = picture.copy()
    other[where] ^= np.uint8(change)
    watch = UnchangedPicture(lambda payload: payload)
    for stamp, payload in enumerate((picture, picture.copy(), other, other.tobytes())):
        watch.see(float(stamp), payload)
    assert watch.since == 2.0


def test_empty_pictures_and_other_sizes_are_compared_too() -> None:
    watch = UnchangedPicture(lambda payload: payload)
    for stamp, payload in enumerate((b"", b"", b"a", b"ab")):
        watch.see(float(stamp), payload)
    assert watch.since == 3.0


@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=20))
def test_the_arm_has_moved_when_a_joint_covered_more_than_the_threshold(positions: list[float]) -> None:
    joints = np.column_stack([np.zeros(len(positions)), positions])
    assert has_moved(joints) == (max(positions) - min(positions) > MOVED)
