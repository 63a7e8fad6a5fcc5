"""What an .rrd file holds, read back by Rerun's own reader."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

try:
    from rerun.chunk import RrdReader
except ImportError:  # before Rerun 0.41
    from rerun.experimental import RrdReader


@dataclass(frozen=True)
class Logged:
    """One value: when (seconds, None: always), for which chunk of actions, and what."""

    time: float | None
    chunk: int | None
    value: Any


def read_rrd(path: Path) -> dict[str, dict[str, list[Logged]]]:
    """All values by entity and component, in order of time."""
    found: dict[str, dict[str, list[Logged]]] = defaultdict(lambda: defaultdict(list))
    for part in RrdReader(path).stream():
        batch = part.to_record_batch()
        names = batch.schema.names
        for row in range(batch.num_rows):
            time = batch.column("ros_time")[row].value * 1e-9 if "ros_time" in names else None
            chunk = batch.column("chunk")[row].as_py() if "chunk" in names else None
            for name in names:
                if ":" in name and batch.column(name)[row].is_valid:
                    value = batch.column(name)[row].as_py()
                    found[part.entity_path][name.partition(":")[2]].append(Logged(time, chunk, value))
    for components in found.values():
        for values in components.values():
            values.sort(key=lambda logged: logged.time or 0.0)
    return found


def pixels_of(buffer: Any, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    """The array of a logged image."""
    return np.frombuffer(bytes(buffer[0]), kind).reshape(shape)
