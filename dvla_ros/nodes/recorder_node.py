"""Records the robot's topics into a bag, all the time or the last seconds when something happened."""

import os
import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import cast

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from dvla_ros.msg import ExecutionStatus
from dvla_ros.nodes.diagnostics import DiagnosticsPublisher
from dvla_ros.nodes.parameters import load_parameters
from dvla_ros.nodes.process import run_node
from dvla_ros.nodes.raw_topics import RawTopics
from dvla_ros.nodes.recorder_parameters import RecorderParameters
from dvla_ros.nodes.recording import bag_name
from dvla_ros.recordings.bag_writer import Storage
from dvla_ros.recordings.kept_recording import KeptRecording
from dvla_ros.recordings.received_message import ReceivedMessage
from dvla_ros.recordings.recorder_topics import recorder_topics
from dvla_ros.recordings.recording import Recording
from dvla_ros.recordings.ring_buffer import RingBuffer
from dvla_ros.recordings.whole_recording import WholeRecording
from dvla_ros.recordings.writer_thread import WriterThread

LOOK_S = 0.25


class RecorderNode(Node):
    """Takes messages as bytes and hands them to a thread that writes; knows nothing of what is in them.

    Nobody waits for it: its queue is bounded, its priority low, and a publisher does not wait for those who listen.
    """

    def __init__(self, overrides: Mapping[str, object] | None = None) -> None:
        super().__init__(
            "recorder_node",
            automatically_declare_parameters_from_overrides=True,
            parameter_overrides=[Parameter(name, value=value) for name, value in (overrides or {}).items()],
        )
        self.parameters = parameters = load_parameters(self, RecorderParameters)
        _give_way(parameters.nice)
        self._folder = Path(parameters.folder).expanduser()
        self._writer = WriterThread(
            partial(_recording, parameters, self._folder), int(parameters.queue_mb * 1e6), self._say
        )
        self._writer.start()
        wanted = recorder_topics(
            parameters.robot_name, parameters.cameras, parameters.compressed, parameters.more_topics
        )
        self._topics = RawTopics(self, wanted, self._on_message)
        self._diagnostics = DiagnosticsPublisher(self, parameters.robot_name)
        self._save_service = self.create_service(Trigger, "~/save", self._on_save)
        self._faulty, self._names = False, set[str]()
        if parameters.keep_s > 0.0 and parameters.status_topic:
            self._status = self.create_subscription(ExecutionStatus, parameters.status_topic, self._on_status, 10)
        # A simulated clock may stand still.
        steady = partial(self.create_timer, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._clockwork = (steady(LOOK_S, self._topics.look), steady(1.0, self._report))
        self._topics.look()
        self.get_logger().info(self._plan())

    def stop(self) -> None:
        """Write what is left and say how it went."""
        self._topics.destroy()
        self._writer.stop()
        self.get_logger().info(self._summary())

    def _plan(self) -> str:
        if self.parameters.keep_s > 0.0:
            return f"keeping the last {self.parameters.keep_s:g} s; ~/save or a fault writes them into {self._folder}"
        return f"recording into {self._folder}"

    def _on_message(self, message: ReceivedMessage) -> None:
        self._writer.put(message)

    def _on_save(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self.parameters.keep_s > 0.0 and not self._writer.problem
        if response.success:
            response.message = str(self._save(""))
        else:
            response.message = self._writer.problem or f"Everything is being recorded in {self._folder} already."
        return response

    def _on_status(self, message: ExecutionStatus) -> None:
        faulty = message.state == ExecutionStatus.FAULT
        if faulty and not self._faulty:
            folder = self._save(f"_fault_{message.reason}")
            self.get_logger().warning(f"fault {message.reason}: writing the last seconds into {folder}")
        self._faulty = faulty

    def _save(self, ending: str) -> Path:
        name = bag_name(self.parameters.robot_name) + re.sub(r"[^\w-]", "_", ending)
        numbered = (name, *(f"{name}_{number}" for number in range(2, 1000)))
        folder = next(self._folder / one for one in numbered if one not in self._names)
        self._names.add(folder.name)
        self._writer.save(folder)
        return folder

    def _say(self, problem: str) -> None:
        """Writer thread: something could not be written."""
        self.get_logger().error(problem)

    def _report(self) -> None:
        written, dropped, lost = self._writer.written, self._writer.dropped, self._topics.lost
        problems = [*written.refused.values(), *self._topics.problems]
        if self._writer.problem:
            level, message = "error", self._writer.problem
        elif dropped or lost or problems:
            level, message = "warn", "; ".join([*_losses(dropped, lost), *problems])
        else:
            level, message = "ok", self._plan()
        numbers: dict[str, float | int | str] = {
            "topics": len(self._topics.names),
            "messages": written.messages,
            "bags": len(written.bags),
            "written_mb": 1e-6 * written.bytes,
            "queue_mb": 1e-6 * self._writer.queued_bytes,
            "kept_s": written.kept_s,
            "kept_mb": 1e-6 * written.kept_bytes,
            "dropped": sum(dropped.values()),
            "lost": sum(lost.values()),
        }
        numbers |= {f"written_{topic}": count for topic, count in written.topics.items()}
        numbers |= {f"dropped_{topic}": count for topic, count in dropped.items()}
        numbers |= {f"lost_{topic}": count for topic, count in lost.items()}
        self._diagnostics.publish(level, message, numbers)

    def _summary(self) -> str:
        written = self._writer.written
        bags = ", ".join(map(str, written.bags)) or "no bag"
        losses = "; ".join(_losses(self._writer.dropped, self._topics.lost)) or "nothing dropped"
        problem = f"; {self._writer.problem}" if self._writer.problem else ""
        return (
            f"stopped; {written.messages} messages of {len(written.topics)} topics, {1e-6 * written.bytes:.0f} MB "
            f"in {bags}; {losses}{problem}"
        )


def _recording(parameters: RecorderParameters, folder: Path) -> Recording:
    least_free, storage = int(parameters.min_free_mb * 1e6), cast(Storage, parameters.storage)
    if parameters.keep_s > 0.0:
        ring = RingBuffer(parameters.keep_s, int(parameters.keep_mb * 1e6))
        return KeptRecording(ring, parameters.after_s, storage, least_free)
    return WholeRecording(folder, storage, least_free)


def _give_way(nice: int) -> None:
    """Lower the priority of all threads of this process, those of DDS among them; needs no permission."""
    for thread in os.listdir("/proc/self/task"):
        os.setpriority(os.PRIO_PROCESS, int(thread), max(nice, os.getpriority(os.PRIO_PROCESS, int(thread))))


def _losses(dropped: dict[str, int], lost: dict[str, int]) -> list[str]:
    """What is missing in the bag, one sentence for each topic."""
    return [
        *(f"{count} of {topic} dropped, the disk is too slow" for topic, count in dropped.items()),
        *(f"{count} of {topic} lost on their way" for topic, count in lost.items()),
    ]


def main() -> int:
    """Run the node until Ctrl-C."""
    return run_node(RecorderNode)


if __name__ == "__main__":
    sys.exit(main())
