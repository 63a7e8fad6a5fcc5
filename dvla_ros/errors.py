"""The typed errors of the package; every message names the wrong value and what to do about it."""


class DvlaError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigurationError(DvlaError):
    """A parameter, YAML key or command-line value is unknown, malformed or out of range."""


class DependencyError(DvlaError):
    """An optional package is needed for what was asked, and is not installed."""


class CheckpointError(DvlaError):
    """A checkpoint is missing, incomplete, or made for another robot or action space."""


class ObservationError(DvlaError):
    """A camera, joint or instruction needed for an observation is missing, stale or malformed."""


class RecordingError(DvlaError):
    """A bag or a data set cannot be read or written, or lacks what is needed of it."""


class ActionError(DvlaError):
    """An action or a chunk has the wrong shape, mode or value."""


class KinematicsError(DvlaError):
    """A pose cannot be reached within the joint limits."""


class SimulationError(DvlaError):
    """The simulated robot cannot be built, or was asked for something it does not have."""


class TrainingError(DvlaError):
    """A training run cannot go on; what was saved before is whole."""


class NodeError(DvlaError):
    """A ROS node ended, does not answer, or refuses what it was asked for."""


class DeviceMemoryError(DvlaError):
    """The device that the network runs on has not enough free memory; nothing was inferred."""
