"""Property tests of this folder: no time limit per example, the machine may be busy; half of the usual examples.

What more examples find is found by the fuzzer, `benchmarks/fuzz_safety.py`, which runs them by the million.
"""

from hypothesis import settings

settings.register_profile("control", deadline=None, max_examples=50)
settings.load_profile("control")
