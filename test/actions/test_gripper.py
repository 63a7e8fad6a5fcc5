"""Gripper conventions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvla_ros.actions.gripper import (
    GRIPPER_CONVENTIONS,
    GripperConvention,
    convert_gripper,
    gripper_convention,
    trained_gripper,
)
from dvla_ros.errors import ActionError, ConfigurationError


@pytest.mark.parametrize(
    ("name", "given_values", "converted"),
    [
        ("passthrough", [0.0, 0.3, 1.0], [0.0, 0.3, 1.0]),
        ("inverted_01", [0.0, 0.3, 1.0], [1.0, 0.7, 0.0]),
        ("binary_01", [0.0, 0.5, 0.51, 1.0], [0, 0, 1, 1]),
        ("binary_signed", [-1.0, 0.0, 0.01, 1.0], [0, 0, 1, 1]),
        ("inverted_signed", [-1.0, 0.0, 0.01, 1.0], [1, 1, 0, 0]),
        ("openvla_libero", [0.0, 0.4, 0.6, 1.0], [1, 1, -1, -1]),
        ("openvla_bridge", [0.0, 0.5, 0.51, 1.0], [-1, -1, 1, 1]),
        ("ud_vla_calvin", [-1.0, 0.0, 0.01, 1.0], [-1, -1, 1, 1]),
        ("ud_vla_libero", [-1.0, 0.0, 0.01, 1.0], [-1, -1, 1, 1]),
        ("ud_vla_widowx", [0.0, 0.5, 0.51, 1.0], [-1, -1, 1, 1]),
        ("mmada_vla_libero", [-1.0, -0.1, 0.1, 1.0], [1, 1, -1, -1]),
    ],
)
def test_published_conventions(name, given_values, converted):
    column = np.array(given_values)[:, None]
    assert convert_gripper(column, gripper_convention(name))[:, 0] == pytest.approx(converted)


def test_every_published_convention_has_its_row_in_the_table_above():
    marks = test_published_conventions.pytestmark[0].args[1]
    assert {row[0] for row in marks} == set(GRIPPER_CONVENTIONS)


@given(st.floats(0, 1))
def test_openvlas_libero_gripper_is_the_negated_sign_of_twice_g_minus_one(g):
    converted = convert_gripper([[g]], gripper_convention("openvla_libero"))[0, 0]
    sign = np.sign(np.float32(2) * np.float32(g) - np.float32(1))
    assert converted == -sign or sign == 0


def test_the_other_columns_and_the_given_array_stay_as_they_were():
    actions = np.full((2, 8, 7), 0.7, dtype=np.float32)
    converted = convert_gripper(actions, GripperConvention(threshold=0.5, low=-1.0))
    assert (actions == np.float32(0.7)).all()
    assert (converted[..., :6] == np.float32(0.7)).all()
    assert (converted[..., 6] == 1).all()
    assert converted.dtype == np.float32


def test_the_gripper_can_stand_in_another_column():
    converted = convert_gripper([[0.7, 0.7]], GripperConvention(threshold=0.5), column=0)
    assert converted[0].tolist() == pytest.approx([1.0, 0.7])


@pytest.mark.parametrize("name", sorted(GRIPPER_CONVENTIONS))
def test_an_unusable_chunk_stays_unusable(name):
    assert np.isnan(convert_gripper(np.full((8, 7), np.nan), gripper_convention(name))).all()


@pytest.mark.parametrize("column", [7, -8])
def test_a_column_that_is_not_there_is_refused(column):
    with pytest.raises(ActionError, match=f"no gripper column {column}"):
        convert_gripper(np.zeros((8, 7)), GripperConvention(), column)


@pytest.mark.parametrize(
    "settings", [{"low": 1.0}, {"low": 2.0}, {"high": np.inf}, {"low": np.nan}, {"threshold": np.nan}]
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigurationError, match=r"finite"):
        GripperConvention(**settings)


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ConfigurationError, match=r"'libero'.*openvla_libero"):
        gripper_convention("libero")


@pytest.mark.parametrize("name", sorted(GRIPPER_CONVENTIONS))
def test_the_ends_of_the_robots_gripper_come_back_from_the_trained_numbers(name):
    convention = gripper_convention(name)
    ends = np.array([[convention.low], [convention.high]], np.float32)
    trained = trained_gripper(ends, convention)
    assert set(trained[:, 0].tolist()) == set(convention.trained_range)
    np.testing.assert_array_equal(convert_gripper(trained, convention), ends)


def test_unknown_rows_stay_unknown_in_trained_numbers():
    rows = np.array([[0.1, np.nan], [0.1, 1.0]], np.float32)
    np.testing.assert_array_equal(np.isnan(trained_gripper(rows, gripper_convention("binary_signed")))[:, 1], [1, 0])
