"""A device without memory gives an error that says what to do; the policy goes on afterwards."""

import weakref

import pytest
import torch

from dvla_ros.errors import DeviceMemoryError
from dvla_ros.policies.device_memory import within_device_memory
from dvla_ros.policies.load import load_policy


class FullOnce:
    """A part of a network that finds the device full when it is first called."""

    def __init__(self, part):
        self._part, self._calls = part, 0

    def __call__(self, *arguments, **options):
        self._calls += 1
        if self._calls == 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines")
        return self._part(*arguments, **options)


@pytest.mark.parametrize(
    ("system", "part"),
    [("dd_vla", "prefill"), ("dd_vla", "read_canvas"), ("diffusion_vla", "prefill"), ("diffusion_vla", "condition")],
)
def test_a_policy_says_that_memory_is_short_and_answers_the_next_time(system, part, write, observation, monkeypatch):
    policy = load_policy(write(system))
    expected = policy.predict(observation, seed=0).actions
    monkeypatch.setattr(policy.network.model, part, FullOnce(getattr(policy.network.model, part)))

    with pytest.raises(DeviceMemoryError, match=r"cpu has not enough free memory .* 2\.00 GiB\. End what else"):
        policy.predict(observation, seed=0)

    assert (policy.predict(observation, seed=0).actions == expected).all()


def test_memory_is_given_back_once_nothing_of_the_failed_work_is_left(monkeypatch):
    remaining, tensors = [], []

    def work():
        tensor = torch.zeros(3)
        tensors.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: remaining.append(tensors[0]()))
    with pytest.raises(DeviceMemoryError):
        within_device_memory(torch.device("cuda"), work)
    assert remaining == [None]


def test_other_errors_pass():
    with pytest.raises(ZeroDivisionError):
        within_device_memory(torch.device("cpu"), lambda: 1 / 0)
