"""Property tests of this folder have no time limit per example: the machine that runs them may be busy."""

from hypothesis import settings

settings.register_profile("control", deadline=None)
settings.load_profile("control")
