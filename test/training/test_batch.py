"""Rows of the targets stay together."""

import torch

from dvla_ros.training.batch import Targets


def test_the_rows_of_all_parts_are_taken_and_absent_parts_stay_absent():
    targets = Targets(torch.arange(24.0).reshape(4, 3, 2), tokens=torch.arange(8).reshape(4, 2))
    some = targets.rows(torch.tensor([2, 0, 2]))
    assert some.actions[:, 0, 0].tolist() == [12.0, 0.0, 12.0]
    assert some.tokens.tolist() == [[4, 5], [0, 1], [4, 5]]
    assert some.seen is None and some.reasoning is None
