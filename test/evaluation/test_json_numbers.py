"""What is written is JSON."""

import json

from dvla_ros.evaluation.json_numbers import known


def test_numbers_that_are_not_finite_become_null_however_deep():
    values = {"a": float("nan"), "b": [1.5, (float("inf"), {"c": float("-inf")})], "d": "nan", "e": 3, "f": True}
    assert json.loads(json.dumps(known(values), allow_nan=False)) == {
        "a": None,
        "b": [1.5, [None, {"c": None}]],
        "d": "nan",
        "e": 3,
        "f": True,
    }
