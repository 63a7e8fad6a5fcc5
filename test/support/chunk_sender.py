"""A policy in a process of its own: swings the waist for ever, a new chunk each half second, and says that it lives.

Run as a script: `python chunk_sender.py [EPOCH]`.
"""

import sys
import time

import rclpy
from chunker_bench import CHUNKS, as_message, swing
from rclpy.node import Node

from dvla_ros.msg import ActionChunk as ActionChunkMessage
from dvla_ros.nodes.diagnostics import DiagnosticsPublisher

EVERY_S, ROWS, STEP = 0.5, 10, 0.02


def main():
    """Send until killed."""
    epoch = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    rclpy.init(args=[])
    node = Node("policy_node")
    chunks = node.create_publisher(ActionChunkMessage, CHUNKS, 1)
    diagnostics = DiagnosticsPublisher(node, "wx250s")
    sequence = 0
    while True:
        direction = 1.0 if sequence // 4 % 2 else -1.0
        chunks.publish(as_message(swing(time.time(), sequence, epoch, ROWS, step=direction * STEP)))
        if sequence % 2 == 0:
            diagnostics.publish("ok", "following", {})
        sequence += 1
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
