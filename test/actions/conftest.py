from pathlib import Path

import numpy as np
import pytest

from dvla_ros.actions.fast import FastTokenizer

DATA = Path(__file__).parent / "data"
HORIZON = 10
DIM = 7


@pytest.fixture(scope="session")
def published() -> dict[str, FastTokenizer]:
    """The published tokenizers by name, for chunks `[10, 7]`."""
    names = ("universal", "calvin_abcd", "libero_all")
    return {name: FastTokenizer.load(DATA / f"fast_{name}", horizon=HORIZON, action_dim=DIM) for name in names}


@pytest.fixture(scope="session")
def calvin(published: dict[str, FastTokenizer]) -> FastTokenizer:
    return published["calvin_abcd"]


@pytest.fixture(scope="session")
def sine_chunk() -> np.ndarray:
    """Six sines of rising frequency and a gripper that jumps from -1 to 1, `[10, 7]`."""
    time = np.linspace(0, 1, HORIZON)
    sines = [0.5 * np.sin(2 * np.pi * time * (column + 1) / 4) for column in range(6)]
    return np.stack([*sines, np.where(time < 0.5, -1.0, 1.0)], axis=1)


@pytest.fixture(scope="session")
def windows() -> np.ndarray:
    """Smooth normalised chunks with a binary gripper, `[400, 8, 3]`, to fit tokenizers to."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 1, 8)[:, None]
    offset, size, phase = rng.normal(0, 0.3, (3, 400, 1, 3))
    chunks = np.clip(offset + size * np.sin(3 * time + phase), -1, 1)
    chunks[..., 2] = np.where(rng.random((400, 1)) > 0.5, 1.0, -1.0)
    return chunks
