"""LIBERO used as its own documentation says, cameras in every step: `.libero/bin/python plain_libero.py ROWS OUT`.

Writes what is seen after the rows of the first episode of libero_object's task 1.
"""

import sys

import numpy as np
from libero.libero import benchmark
from libero.libero.envs import OffScreenRenderEnv

TASK, INITIAL_STATE, SEED, SETTLE_STEPS, SIZE = 1, 2, 5, 10, 96


def main():
    suite = benchmark.get_benchmark("libero_object")()
    size = {"camera_heights": SIZE, "camera_widths": SIZE}
    environment = OffScreenRenderEnv(bddl_file_name=suite.get_task_bddl_file_path(TASK), **size)
    environment.seed(SEED)
    environment.reset()
    environment.set_init_state(suite.get_task_init_states(TASK)[INITIAL_STATE])
    for _ in range(SETTLE_STEPS):
        environment.step([0, 0, 0, 0, 0, 0, -1])
    for row in np.load(sys.argv[1]):
        seen, _, _, _ = environment.step(row)
    names = ("agentview_image", "robot0_eye_in_hand_image", "robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos")
    np.savez(sys.argv[2], sentence=suite.get_task(TASK).language, **{name: seen[name] for name in names})
    environment.close()


if __name__ == "__main__":
    main()
