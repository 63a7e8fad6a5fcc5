"""From one action a frame to chunks: what the arm did from each frame on."""

import numpy as np


def chunks_of(actions: np.ndarray, horizon: int) -> np.ndarray:
    """The next `horizon` actions of each frame; after the last one the arm rests and the gripper stays as it is.

    Args:
        actions: Increments `[T, D]`, T > 0, the absolute gripper last.
        horizon: H.

    Returns:
        `[T, H, D]`, of the same type.
    """
    rest = np.zeros_like(actions[-1])
    rest[-1] = actions[-1, -1]
    padded = np.concatenate([actions, np.repeat(rest[None], horizon - 1, axis=0)])
    rows: np.ndarray = padded[np.arange(len(actions))[:, None] + np.arange(horizon)]
    return rows
