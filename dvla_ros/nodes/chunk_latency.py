"""How long it takes from what the cameras saw to the first command that answers it."""

from dvla_ros.control.chunk import ActionChunk
from dvla_ros.nodes.diagnostics import LatencyRecord


class ChunkLatency:
    """Follows each accepted chunk from its observation to its first command.

    `accepted` belongs to the executor's thread, `commanded` to the control thread.
    """

    def __init__(self) -> None:
        self.total = LatencyRecord()
        self._inference, self._transport, self._pickup = (LatencyRecord(), LatencyRecord(), LatencyRecord())
        self._waiting: tuple[ActionChunk, float] | None = None

    def accepted(self, chunk: ActionChunk, inference_s: float, now: float) -> None:
        """A chunk was accepted at `now` seconds; it was published `inference_s` after its observation."""
        self._inference.add(inference_s)
        self._transport.add(max(0.0, now - chunk.observation_stamp - inference_s))
        self._waiting = (chunk, now)

    def commanded(self, now: float) -> None:
        """A command is about to be sent at `now` seconds."""
        waiting = self._waiting
        if waiting is None or now < waiting[0].stamp:
            return
        self._waiting = None
        self.total.add(now - waiting[0].observation_stamp)
        self._pickup.add(now - waiting[1])

    def numbers(self) -> dict[str, float]:
        """Percentiles in ms: the whole way, and its parts observation → publication → reception → command."""
        return {
            **self.total.numbers("observation_to_command"),
            **self._inference.numbers("observation_to_publication"),
            **self._transport.numbers("publication_to_reception"),
            **self._pickup.numbers("reception_to_command"),
        }
