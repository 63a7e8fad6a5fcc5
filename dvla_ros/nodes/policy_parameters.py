"""Parameters of `policy_node`."""

from dataclasses import dataclass

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.replanning import ReplanningConfig
from dvla_ros.engine.cache_plan import CachePlan
from dvla_ros.engine.weight_form import WEIGHTS
from dvla_ros.errors import ConfigurationError
from dvla_ros.nodes.launch_arguments import EXPERT
from dvla_ros.nodes.parameters import described


@dataclass(frozen=True)
class PolicyParameters:
    """Parameters of `policy_node`.

    Raises:
        ConfigurationError: A value is out of range.
    """

    robot_name: str = described("wx250s", "namespace of the robot's topics")
    checkpoint: str = described("", "folder of the policy's checkpoint; expert: the simulation's scripted expert")
    deployment: str = described("", "YAML file that says how a published checkpoint is used; empty: the defaults")
    instruction: str = described("", "what to do from the start; empty: wait for the topic /instruction")
    device: str = described("cpu", "where the policy runs: cpu, cuda, cuda:1")
    cache: str = described("", "what a denoising step keeps: exact, prefix, dllm; empty: as the deployment says")
    weights: str = described("", "how weights are held: bf16, int8, int8_dynamic, fp8; empty: as the deployment says")
    graphs: bool = described(True, "denoising steps are captured in CUDA graphs, where the policy is on a GPU")
    max_batch: int = described(4, "requests of ~/get_action_chunk that are answered together; 1: one by one")
    batch_wait_s: float = described(0.0, "how long a request waits for others to be answered with")
    cpu_threads: int = described(1, "threads of a policy on the CPU; a small one is fastest with one")
    nice: int = described(5, "inference gives way to control: nice value 0..19, and a core left free; -1: neither")
    cameras: tuple[str, ...] = described(("front", "wrist"), "cameras; topics /<camera>_camera/image_raw")
    compressed: bool = described(False, "take /<camera>_camera/image_raw/compressed instead")
    camera_hz: float = described(15.0, "frames per second that each camera is expected to send")
    camera_latency_s: tuple[float, ...] = described((0.0,), "exposure to stamp: one number, or one for each camera")
    joint_latency_s: float = described(0.0, "seconds from the measurement of the joints to its stamp")
    stamp_source: str = described("header", "time of a message: its header stamp, or receive: its arrival")
    frozen_s: float = described(0.5, "identical pictures for longer, while the arm moves: the camera is frozen; 0: off")
    frozen_strict: bool = described(False, "identical pictures count while the arm rests, too; for real cameras")
    max_image_age_s: float = described(0.5, "older images are no observation")
    max_skew_s: float = described(0.15, "largest distance in time between the streams of one observation")
    warm_up_s: float = described(5.0, "time in which every stream must have delivered once")
    replanning: str = described("inpaint", "how chunks follow each other: sync, async, inpaint, temporal_ensemble")
    policy_hz: float = described(0.0, "at most so many chunks per second; 0: as often as the chunks ask for")
    lead_s: float = described(0.02, "from publication until the chunk is with the controller")
    settle_s: float = described(0.12, "rest of the arm before an observation that waits for rest")
    tracking_lag_s: float = described(0.1, "how far the moving arm is behind its command")
    delay_percentile: float = described(95.0, "of the measured inference times, for the rows that in-painting fixes")
    warm_start: bool = described(False, "inpaint: start the open rows from the chunk before")
    early_stop: bool = described(True, "inpaint: decoding may end when the rows before the next chunk are decided")
    deadline_s: float = described(0.0, "decoding ends after so many seconds; 0: only when the rows run out")
    seed: int = described(-1, "of each run's first chunk, the next ones follow; -1: fresh ones, which are recorded")
    ensemble_decay: float = described(0.01, "temporal_ensemble: weights exp(-decay * i), the oldest chunk first")
    status_topic: str = described("/chunker_node/execution_status", "where the chunker says what becomes of chunks")
    max_duration_s: float = described(0.0, "longest run of a run_policy goal that sets none; 0: no limit")
    autostart: bool = described(True, "configure and activate at start")

    def __post_init__(self) -> None:
        if self.cpu_threads < 1:
            raise ConfigurationError(f"cpu_threads must be 1 or more, got {self.cpu_threads}.")
        if not -1 <= self.nice <= 19:
            raise ConfigurationError(f"nice must be 0..19, or -1, got {self.nice}.")
        if self.max_batch < 1:
            raise ConfigurationError(f"max_batch must be 1 or more, got {self.max_batch}.")
        if self.seed < -1:
            raise ConfigurationError(f"seed must be 0 or more, or -1, got {self.seed}.")
        for name in ("policy_hz", "max_duration_s", "batch_wait_s"):
            if getattr(self, name) < 0.0:
                raise ConfigurationError(f"{name} must be 0 or more, got {getattr(self, name)}.")
        if self.checkpoint == EXPERT and self.replanning != "sync":
            raise ConfigurationError(f"The scripted expert begins at rest: replanning is sync, not {self.replanning}.")
        if self.instruction and not self.instruction.strip():
            raise ConfigurationError("instruction is blank; write a sentence such as 'pick up the red cube'.")
        if self.cache:
            CachePlan.parse(self.cache)
        if self.weights and self.weights not in WEIGHTS:
            raise ConfigurationError(f"weights must be one of {', '.join(WEIGHTS)}, got {self.weights!r}.")
        _ = self.alignment, self.replanning_config  # check the rest

    @property
    def alignment(self) -> AlignmentConfig:
        """How streams become observations."""
        return AlignmentConfig(
            camera_hz=self.camera_hz,
            camera_latency_s=self.camera_latency_s,
            joint_latency_s=self.joint_latency_s,
            stamp_source=self.stamp_source,
            frozen_s=self.frozen_s,
            frozen_strict=self.frozen_strict,
            max_image_age_s=self.max_image_age_s,
            max_skew_s=self.max_skew_s,
            warm_up_s=self.warm_up_s,
        )

    @property
    def replanning_config(self) -> ReplanningConfig:
        """How chunks follow each other."""
        return ReplanningConfig(
            mode=self.replanning,
            lead_s=self.lead_s,
            settle_s=self.settle_s,
            tracking_lag_s=self.tracking_lag_s,
            delay_percentile=self.delay_percentile,
            warm_start=self.warm_start,
            early_stop=self.early_stop,
            deadline_s=self.deadline_s,
            ensemble_decay=self.ensemble_decay,
        )
