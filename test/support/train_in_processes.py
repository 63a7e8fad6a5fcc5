"""What `torchrun` runs in each of two processes: the run of test_loop.py with copies of the weights, then with shards.

Arguments: folder of the demonstrations, two folders to write.
"""

import sys
from pathlib import Path

from dvla_ros.models.perception import PerceptionConfig
from dvla_ros.training.config import TrainConfig
from dvla_ros.training.train import Trainer

data, copies, shards = map(Path, sys.argv[1:])
settings = {
    "steps": 3,
    "report_every": 1,
    "threads": 1,
    "heads": 3,
    "layers": 2,
    "perception": PerceptionConfig(width=24, keypoints=2),
    "objective": ('average="tokens"',),
}
Trainer(TrainConfig((data,), copies, batch_size=4, **settings)).run(lambda progress: None)
Trainer(TrainConfig((data,), shards, batch_size=2, accumulate=2, shard=True, **settings)).run(lambda progress: None)
