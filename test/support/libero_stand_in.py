"""A worker as LIBERO's, with a made-up simulator: task 0 is solved in its fifth step, the others never are.

Task 7 fails, task 8 ends the process. It prints what would break the messages, were it not kept apart.
"""

import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dvla_ros.evaluation.libero.wire import Message
from dvla_ros.evaluation.libero.worker import own_pipes, serve

SOLVED_AT = 5
SIZE = 24


class StandIn:
    """Answers as `LiberoScene` does."""

    def __init__(self):
        self.task, self.steps = -1, 0

    def answer(self, question):
        print("robosuite has something to say")
        os.write(1, b"and so has a library in C\n")
        return getattr(self, question.kind)(**question.values, **question.arrays)

    def open(self, suite, size):
        return Message("suite", {"sentences": [f"do {number}" for number in range(10)], "initial_states": [50] * 10})

    def restart(self, task, initial_state, seed, settle_steps):
        if task == 7:
            raise ValueError("no such\nbowl")
        if task == 8:
            os._exit(9)
        self.task, self.steps = task, 0
        return Message("ready")

    def look(self):
        picture = np.full((SIZE, SIZE, 3), self.steps, np.uint8)
        state = {"position": [-0.2, 0.0, 1.1], "quaternion": [1.0, 0.0, 0.0, 0.0], "fingers": [0.04, -0.04]}
        arrays = {name: np.array(values) for name, values in {**state, "base": [-0.66, 0.0, 0.9]}.items()}
        return Message("seen", arrays={"agentview": picture, "robot0_eye_in_hand": picture, **arrays})

    def execute(self, rows):
        assert rows.shape[1] == 7 and np.abs(rows).max() <= 1
        left = SOLVED_AT - self.steps if self.task == 0 else len(rows) + 1
        steps = min(left, len(rows))
        self.steps += steps
        return Message("executed", {"steps": steps, "done": steps == left})


if __name__ == "__main__":
    serve(StandIn().answer, *own_pipes())
