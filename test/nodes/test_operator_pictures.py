"""Pictures for the operator page: few, new, and of bounded size."""

import time

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import Image

from dvla_ros.nodes.images import encode_image
from dvla_ros.nodes.operator.pictures import CameraPictures

OFTEN = 1e6


def pictures(hz=OFTEN, width=640):
    """Takes messages as they are: how they are deserialised is the feed's business."""
    return CameraPictures("front", lambda message: message, hz, width)


def grey(level, size=(480, 640)):
    return encode_image(np.full((*size, 3), level, np.uint8))


def level(picture):
    return float(cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR).mean())


def test_only_the_newest_is_shown_and_only_once_to_each():
    some = pictures()
    assert some.newest(0) is None
    for one in (10, 20, 30):
        some.store(grey(one))
    picture = some.newest(0)
    assert level(picture) == pytest.approx(30, abs=2)
    assert some.newest(picture.number) is None
    assert some.newest(0) == picture
    some.store(grey(40))
    assert level(some.newest(picture.number)) == pytest.approx(40, abs=2)


def test_one_who_saw_pictures_of_an_earlier_start_sees_the_new_ones():
    some = pictures()
    some.store(grey(10))
    assert some.newest(5000) is not None


def test_they_are_made_at_most_so_often():
    some = pictures(hz=0.001)
    some.store(grey(10))
    first = some.newest(0)
    some.store(grey(20))
    assert some.newest(first.number) is None
    assert some.newest(0) == first


def test_wide_pictures_are_made_smaller_and_narrow_ones_left():
    some = pictures(width=320)
    for size, expected in (((480, 640), (240, 320)), ((100, 200), (100, 200))):
        some.store(grey(10, size))
        assert cv2.imdecode(np.frombuffer(some.newest(0).jpeg, np.uint8), 0).shape == expected


def test_nobody_looks_after_a_while_and_old_pictures_are_not_shown_later(monkeypatch):
    some = pictures()
    assert not some.looked_at
    some.store(grey(10))
    some.newest(0)
    assert some.looked_at
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 10.0)
    assert not some.looked_at
    some.forget()
    assert some.newest(0) is None


def test_what_is_no_picture_is_named():
    some = pictures()
    some.store(Image(encoding="32FC1", height=1, width=1, step=4))
    assert some.newest(0) is None
    assert "front" in some.problem and "32FC1" in some.problem
    some.store(grey(10))
    assert some.newest(0) is not None and some.problem == ""
