"""A recording made without ROS: a shipped policy drives the simulated arm, and everything goes into a rosbag2.

The policy sees what the real assembler makes of the very messages that are written, as in `policy_node`. Nothing here
watches a clock: the recording of a given checkpoint is the same every time, but for the measured durations.
"""

import fcntl
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from dvla_ros.control.alignment_config import AlignmentConfig
from dvla_ros.control.controller import ChunkController, ControllerConfig
from dvla_ros.control.kinematics import WidowXKinematics
from dvla_ros.control.observation import Observation
from dvla_ros.control.replanning import Ask, ChunkLayout, Replanner, ReplanningConfig
from dvla_ros.control.widowx import ARM_JOINTS, finger_from_gripper
from dvla_ros.control.widowx_streams import store_camera, store_joints, widowx_assembler
from dvla_ros.policies.answering import answer_of, predict_for
from dvla_ros.policies.base import Prediction
from dvla_ros.policies.fingerprint import fingerprint
from dvla_ros.policies.load import load_policy
from dvla_ros.provenance import git_revision, machine_name
from dvla_ros.recordings.bag import Bag
from dvla_ros.recordings.bag_writer import BagWriter
from dvla_ros.recordings.message_types import type_store
from dvla_ros.simulation.cameras import CameraRig
from dvla_ros.simulation.scene import CAMERAS, TIMESTEP
from dvla_ros.simulation.simulation import Simulation

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT = ROOT / "checkpoints/widowx_dd_vla_small"
BEGIN = 1_700_000_000.0
TYPES = type_store()
_CAMERA_HZ, _JOINTS_HZ, _CONTROL_HZ, _STATUS_HZ = 15.0, 100.0, 50.0, 5.0
_FRAME = "wx250s/base_link"


@dataclass(frozen=True)
class RunPlan:
    """What is recorded.

    Attributes:
        episodes: Task and scene seed of each.
        seconds: Of each episode.
        pause_s: Between two episodes, in which nothing is sent.
        size: Width and height of the pictures.
        replanning: How chunks follow each other.
        inference_s: Simulated time that each inference takes.
    """

    episodes: tuple[tuple[str, int], ...] = (("pick_red", 0), ("pick_blue", 1), ("pick_green", 2))
    seconds: float = 4.0
    pause_s: float = 0.3
    size: tuple[int, int] = (160, 120)
    replanning: ReplanningConfig = field(default_factory=ReplanningConfig)
    inference_s: float = 0.12


def shared_recording(tmp_path_factory: Any, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made once for all processes of a test session."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if base.name.startswith("popen-") else base  # of pytest-xdist
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = root / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder


def record_run(folder: Path, plan: RunPlan = RunPlan(), checkpoint: Path = CHECKPOINT) -> Path:
    """Record the episodes and return the folder of the bag."""
    with BagWriter(folder) as writer:
        RecordedRun(writer, plan, checkpoint).run()
    return folder


def rewritten(bag: Path, folder: Path, change: Callable[[str, Any], Any]) -> Path:
    """A copy of a bag in which `change(topic, message)` stands for each message; None leaves it out."""
    with Bag(bag) as source, BagWriter(folder) as writer:
        for recorded in source.messages(tuple(source.topics)):
            message = change(recorded.topic, recorded.message)
            if message is not None:
                cdr = bytes(TYPES.serialize_cdr(message, recorded.type))
                writer.write(recorded.topic, recorded.type, recorded.received_ns, cdr)
    return folder


def later_pictures(seconds: float) -> Callable[[str, Any], Any]:
    """A change for `rewritten`: every picture says that it was taken so much later than it was."""

    def change(topic: str, message: Any) -> Any:
        if not topic.endswith("/image_raw"):
            return message
        return replace(
            message, header=replace(message.header, stamp=time_of(seconds_of(message.header.stamp) + seconds))
        )

    return change


def inverted_gripper(topic: str, message: Any) -> Any:
    """A change for `rewritten`: the recorded actions say 1 for closed and 0 for open."""
    if topic == "/policy_node/action_chunk":
        data = message.data.reshape(message.horizon, -1).copy()
        data[:, -1] = 1.0 - data[:, -1]
        return replace(message, data=data.ravel())
    return message


def worse_checkpoint(folder: Path, noise: float, checkpoint: Path = CHECKPOINT) -> Path:
    """A copy of a checkpoint with noise on its weights: of each tensor, this share of its standard deviation."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("golden_chunk.safetensors"))
    random = np.random.default_rng(0)
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        for name, tensor in tensors.items():
            if tensor.dtype == np.float32 and tensor.ndim >= 2:
                tensors[name] = tensor + (noise * tensor.std() * random.standard_normal(tensor.shape)).astype(
                    np.float32
                )
        save_file(tensors, path)
    return folder


def time_of(seconds: float) -> Any:
    """A `builtin_interfaces/Time`; `seconds_of` it is the same number again, bit for bit."""
    whole = math.floor(seconds)
    carry, nanosec = divmod(round((seconds - whole) * 1e9), 1_000_000_000)
    return TYPES.types["builtin_interfaces/msg/Time"](sec=whole + carry, nanosec=nanosec)


def seconds_of(stamp: Any) -> float:
    """Seconds of a stamp."""
    return float(stamp.sec) + 1e-9 * float(stamp.nanosec)


@dataclass(frozen=True)
class _Inference:
    """What will be published at `ready` seconds."""

    ready: float
    ask: Ask
    observation: Observation
    prediction: Prediction
    seed: int


class RecordedRun:
    """Drives the arm and writes what topics would carry."""

    def __init__(self, writer: BagWriter, plan: RunPlan, checkpoint: Path) -> None:
        self._writer, self._plan, self._checkpoint = writer, plan, checkpoint
        self._policy = load_policy(checkpoint)
        self._simulation = Simulation()
        self._rig = CameraRig(self._simulation.model, *plan.size)
        self._alignment = AlignmentConfig()
        spec = self._policy.spec
        self._layout = ChunkLayout(spec.dt, spec.horizon, spec.execute_steps, spec.mode, spec.action_names)

    def run(self) -> None:
        """All episodes, one after the other."""
        self._send("/policy_node/policy_info", _policy_info(self._policy.spec, self._checkpoint, self._plan), BEGIN)
        for index, (task, seed) in enumerate(self._plan.episodes):
            self._episode(task, seed, BEGIN + index * (self._plan.seconds + self._plan.pause_s), epoch=100 + index)
        self._rig.close()

    def _episode(self, task: str, seed: int, begin: float, epoch: int) -> None:
        self._begin, self._epoch, self._chunks = begin, epoch, 0
        simulation = self._simulation
        simulation.reset(task, seed)
        self._policy.reset()
        self._assembler = widowx_assembler(CAMERAS, self._alignment)
        self._assembler.set_instruction(simulation.task.instruction)
        self._controller = ChunkController(ControllerConfig(), WidowXKinematics())
        self._replanner = Replanner(self._plan.replanning, self._layout)
        self._replanner.start(epoch, begin)
        self._pending: _Inference | None = None
        self._send("/instruction", _kind("std_msgs/msg/String")(data=simulation.task.instruction), begin)
        for tick in range(round(self._plan.seconds / TIMESTEP)):
            self._tick(tick)

    @property
    def _now(self) -> float:
        return self._begin + self._simulation.time

    def _tick(self, tick: int) -> None:
        if _due(tick, _JOINTS_HZ):
            self._send_joints()
        if _due(tick, _CAMERA_HZ):
            self._send_pictures()
        if _due(tick, _STATUS_HZ):
            self._send_status()
        self._think()
        if _due(tick, _CONTROL_HZ):
            self._control()
        self._simulation.step(TIMESTEP)

    def _send_joints(self) -> None:
        state = self._simulation.joint_state()
        message = _kind("sensor_msgs/msg/JointState")(
            _header(self._now), list(state.names), state.positions, state.velocities, state.efforts
        )
        store_joints(self._assembler, message, self._now)
        self._send("/wx250s/joint_states", message, self._now)

    def _send_pictures(self) -> None:
        width, height = self._plan.size
        for camera in CAMERAS:
            picture = self._rig.render(self._simulation.qpos(), camera, self._simulation.mocap())
            header = _header(self._now, f"{camera}_camera_optical_frame")
            data = np.ascontiguousarray(picture).ravel()
            image = _kind("sensor_msgs/msg/Image")(header, height, width, "rgb8", 0, 3 * width, data)
            store_camera(self._assembler, camera, image, self._now)
            self._send(f"/{camera}_camera/image_raw", image, self._now)
            info = _camera_info(header, self._rig.intrinsics(camera), width, height)
            self._send(f"/{camera}_camera/camera_info", info, self._now)

    def _send_status(self) -> None:
        simulation, judgement = self._simulation, self._simulation.judge()
        status = _kind("dvla_ros/msg/TaskStatus")(
            header=_header(self._now),
            episode=self._epoch,
            task=simulation.task.name,
            instruction=simulation.task.instruction,
            seed=simulation.seed,
            outcome=judgement.outcome,
            detail=judgement.detail,
            elapsed=simulation.time,
        )
        self._send("/sim_node/task_status", status, self._now)

    def _think(self) -> None:
        if self._pending is not None:
            if self._now >= self._pending.ready:
                self._answer(self._pending)
                self._pending = None
            return
        look = self._replanner.look_at(self._now)
        observation = self._assembler.assemble(self._now, look) if self._now >= look else None
        if observation is not None:
            ask = self._replanner.ask(self._now, observation.stamp)
            seed = 1000 * self._epoch + self._chunks
            # No deadline: an answer must not depend on how busy this machine is.
            prediction = predict_for(self._policy, observation, replace(ask, deadline_s=None), seed)
            self._pending = _Inference(self._now + self._plan.inference_s, ask, observation, prediction, seed)

    def _answer(self, inference: _Inference) -> None:
        chunk = self._replanner.chunk(
            inference.ask, answer_of(inference.prediction), inference.observation.stamp, self._now
        )
        self._chunks += 1
        nfe, latency = inference.prediction.nfe, self._now - inference.observation.stamp
        message = _chunk_message(chunk, nfe, latency)
        self._send("/policy_node/action_chunk", message, self._now)
        self._send("/policy_node/denoising_trace", _trace_message(inference.prediction, message), self._now)
        self._send("/policy_node/inference_request", _request_message(inference, chunk), self._now)
        if not self._controller.accept(chunk, self._now).accepted:
            self._replanner.refused(chunk.epoch, chunk.sequence, self._now)

    def _control(self) -> None:
        simulation, statistics = self._simulation, self._controller.statistics
        dropped = statistics.dropped
        command = self._controller.update(self._now, simulation.arm, simulation.finger)
        if statistics.dropped != dropped:
            self._replanner.dropped(self._now)
        if command is None:
            return
        finger = finger_from_gripper(command.gripper)
        simulation.set_targets(command.arm, finger)
        self._send("/wx250s/arm_controller/joint_trajectory", _trajectory(ARM_JOINTS, command.arm), self._now)
        gripper = _trajectory(("left_finger",), np.array([finger]))
        self._send("/wx250s/gripper_controller/joint_trajectory", gripper, self._now)

    def _send(self, topic: str, message: Any, now: float) -> None:
        kind = message.__msgtype__
        self._writer.write(topic, kind, round(now * 1e9), bytes(TYPES.serialize_cdr(message, kind)))


def _due(tick: int, rate_hz: float) -> bool:
    """Whether something that happens so often happens in this tick."""
    return tick == 0 or math.floor(tick * TIMESTEP * rate_hz + 1e-9) > math.floor(
        (tick - 1) * TIMESTEP * rate_hz + 1e-9
    )


def _kind(name: str) -> Any:
    return TYPES.types[name]


def _header(seconds: float, frame: str = "") -> Any:
    return _kind("std_msgs/msg/Header")(stamp=time_of(seconds), frame_id=frame)


def _duration(seconds: float) -> Any:
    stamp = time_of(seconds)
    return _kind("builtin_interfaces/msg/Duration")(sec=stamp.sec, nanosec=stamp.nanosec)


def _trajectory(names: tuple[str, ...], positions: np.ndarray) -> Any:
    none = np.empty(0)
    point = _kind("trajectory_msgs/msg/JointTrajectoryPoint")(
        np.asarray(positions, np.float64), none, none, none, _duration(1.0 / _CONTROL_HZ)
    )
    return _kind("trajectory_msgs/msg/JointTrajectory")(_header(0.0), list(names), [point])


def _camera_info(header: Any, intrinsics: np.ndarray, width: int, height: int) -> Any:
    no_binning = _kind("sensor_msgs/msg/RegionOfInterest")(0, 0, 0, 0, False)
    return _kind("sensor_msgs/msg/CameraInfo")(
        header=header,
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=intrinsics.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([intrinsics, np.zeros((3, 1))]).ravel(),
        binning_x=0,
        binning_y=0,
        roi=no_binning,
    )


def _policy_info(spec: Any, checkpoint: Path, plan: RunPlan) -> Any:
    """With the parameters of `policy_node` that the alignment and replanning are set by."""
    parameters: dict[str, object] = {"cpu_threads": 1, **asdict(AlignmentConfig())}
    parameters["camera_latency_s"] = [0.0]
    changed = asdict(plan.replanning)
    parameters |= {"replanning": changed.pop("mode"), **changed}
    return _kind("dvla_ros/msg/PolicyInfo")(
        header=_header(BEGIN, _FRAME),
        robot_name="wx250s",
        system=spec.system,
        checkpoint=str(checkpoint),
        fingerprint=fingerprint(checkpoint),
        deployment="",
        cameras=list(spec.cameras),
        action_names=list(spec.action_names),
        control_mode=int(spec.mode),
        horizon=spec.horizon,
        execute_steps=spec.execute_steps,
        dt=_duration(spec.dt),
        parameter_names=list(parameters),
        parameter_values=[json.dumps(value) for value in parameters.values()],
        version="0",
        git=git_revision(),
        machine=machine_name(),
    )


def _chunk_message(chunk: Any, nfe: int, latency: float) -> Any:
    decided = chunk.horizon if chunk.decided_steps is None else chunk.decided_steps
    return _kind("dvla_ros/msg/ActionChunk")(
        header=_header(chunk.stamp, _FRAME),
        observation_stamp=time_of(chunk.observation_stamp),
        sequence=chunk.sequence,
        epoch=chunk.epoch,
        control_mode=int(chunk.mode),
        names=list(chunk.names),
        dt=_duration(chunk.dt),
        horizon=chunk.horizon,
        execute_steps=chunk.execute_steps,
        execute_reserve=chunk.execute_reserve,
        frozen_steps=chunk.frozen_steps,
        decided_steps=decided,
        data=np.asarray(chunk.actions, np.float32).ravel(),
        confidence=np.asarray(chunk.confidence, np.float32).ravel(),
        nfe=nfe,
        latency=latency,
    )


def _trace_message(prediction: Prediction, chunk: Any) -> Any:
    def all_steps(name: str, dtype: type) -> np.ndarray:
        rows = [np.ravel(getattr(step, name)) for step in prediction.trace]
        return np.concatenate(rows).astype(dtype) if rows else np.empty(0, dtype)

    timings = prediction.timings
    return _kind("dvla_ros/msg/DenoisingTrace")(
        header=chunk.header,
        sequence=chunk.sequence,
        epoch=chunk.epoch,
        num_steps=len(prediction.trace),
        horizon=chunk.horizon,
        action_dim=len(chunk.names),
        segments=[part.name for part in prediction.canvas],
        segment_rows=np.array([part.rows for part in prediction.canvas], np.uint16),
        segment_columns=np.array([part.columns for part in prediction.canvas], np.uint16),
        mask_token=prediction.mask_token,
        tokens=all_steps("tokens", np.int32),
        confidence=all_steps("confidence", np.float32),
        committed=all_steps("committed", np.bool_),
        remasked=all_steps("remasked", np.bool_),
        frozen=all_steps("frozen", np.bool_),
        preprocess_s=timings.preprocess_s,
        prefill_s=timings.prefill_s,
        denoise_s=timings.denoise_s,
    )


def _request_message(inference: _Inference, chunk: Any) -> Any:
    observation, ask = inference.observation, inference.ask
    guess = np.empty(0, np.float32) if ask.guess is None else ask.guess.ravel()
    sure = np.empty(0, np.float32) if ask.guess_confidence is None else ask.guess_confidence.ravel()
    return _kind("dvla_ros/msg/InferenceRequest")(
        header=_header(observation.stamp, _FRAME),
        sequence=chunk.sequence,
        epoch=chunk.epoch,
        instruction=observation.instruction,
        cameras=list(observation.image_stamps),
        image_stamps=[time_of(stamp) for stamp in observation.image_stamps.values()],
        state=observation.state,
        observation_crc=observation.crc,
        seed=inference.seed,
        frozen_steps=len(ask.frozen),
        needed_steps=-1 if ask.needed_steps is None else ask.needed_steps,
        deadline=ask.deadline_s or 0.0,
        guess=guess,
        guess_confidence=sure,
    )
