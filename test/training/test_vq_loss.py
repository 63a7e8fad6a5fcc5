"""Pixels that matter count more."""

import pytest
import torch

from dvla_ros.training.vq_loss import pixel_weights, weighted_error


def test_coloured_and_changed_pixels_count_more():
    mean = torch.full((1, 3, 6, 8), 130.0)
    image = mean.clone()
    image[0, :, 1, 1] = torch.tensor([220.0, 30.0, 30.0])
    image[0, :, 4, 6] = 10.0
    weight = pixel_weights(image, mean, coloured=10.0, changed=4.0)[0, 0]
    assert weight[1, 1] == 15.0
    assert weight[0, 0] == weight[2, 2] == 11.0
    assert weight[4, 6] == 5.0
    assert weight[4, 2] == 1.0


def test_the_weighted_error_is_the_weighted_mean():
    made = torch.zeros(1, 3, 1, 2)
    target = torch.tensor([0.5, 1.0]).expand(1, 3, 1, 2)
    weight = torch.tensor([[[[3.0, 1.0]]]])
    assert weighted_error(made, target, weight) == pytest.approx((3 * (0.5 + 0.25) + 1 * (1.0 + 1.0)) / 4)
    assert weighted_error(target, target, weight) == 0.0
