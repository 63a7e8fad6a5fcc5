"""Tensors are found wherever batches have them."""

import torch

from dvla_ros.training.batch import Targets
from dvla_ros.training.tensors_within import mapped


def test_every_tensor_is_replaced_and_the_rest_stays():
    one = torch.ones(1)
    found = mapped({"a": [one, "word"], "b": (Targets(one, tokens=one), None)}, lambda tensor: tensor + 1)
    assert found["a"] == [torch.tensor([2.0]), "word"] and found["b"][1] is None
    assert isinstance(found["b"][0], Targets)
    assert found["b"][0].actions == found["b"][0].tokens == 2.0 and found["b"][0].seen is None
