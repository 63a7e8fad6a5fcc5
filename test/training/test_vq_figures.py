"""The figures of a reconstruction, against their definitions."""

import numpy as np
import pytest
import torch

from dvla_ros.training.vq_figures import measure


def test_figures_agree_with_their_definitions():
    seen = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    seen[0, 0, :2] = 200
    made = seen.clone()
    made[0, 0, :2] = 180
    figures = measure(seen, made, torch.tensor([[0, 0, 5, 5]]), torch.zeros(1, 3, 8, 8))
    assert figures.l1 == pytest.approx(20 * 16 / 192)
    assert figures.psnr == pytest.approx(10 * np.log10(255**2 / (400 * 16 / 192)), abs=1e-4)
    assert figures.coloured_l1 == pytest.approx(20 / 3)
    assert figures.coloured_psnr == pytest.approx(10 * np.log10(255**2 / (400 / 3)), abs=1e-4)
    assert figures.mean_image_psnr == pytest.approx(10 * np.log10(255**2 / (200**2 * 16 / 192)), abs=1e-4)
    assert figures.codes_used == 2 and figures.perplexity == pytest.approx(2.0)
