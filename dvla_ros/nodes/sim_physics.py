"""Keeps simulated time and real time together."""

from dvla_ros.simulation.scene import TIMESTEP
from dvla_ros.simulation.simulation import Simulation

MAX_DEBT_S = 0.1
"""After a longer stall of the machine the simulation falls behind for good instead of jumping."""


class RealTimePhysics:
    """Advances a simulation by whole physics steps so that it stays within one step of the clock."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._last: float | None = None
        self._simulated = self._elapsed = 0.0
        self.stamp = 0.0

    @property
    def real_time_factor(self) -> float:
        """Simulated seconds per second of the clock since the start; 1 when the machine keeps up."""
        return self._simulated / self._elapsed if self._elapsed > 0.0 else 1.0

    def advance(self, now: float) -> None:
        """Simulate up to the time `now` in seconds; `stamp` becomes the time the state belongs to."""
        if self._last is None:
            self._last = self.stamp = now
            return
        self._elapsed += max(0.0, now - self._last)
        self._last = now
        self.stamp = max(self.stamp, now - MAX_DEBT_S)
        steps = int((now - self.stamp) / TIMESTEP)
        if steps > 0:
            self._simulation.step(steps * TIMESTEP)
            self._simulated += steps * TIMESTEP
            self.stamp += steps * TIMESTEP

    def restart(self, now: float) -> None:
        """The scene was laid out anew at time `now`: count from there."""
        self.stamp = now
