"""The ways to hold a trunk's weights, by name; what they do is in `quantise.py`."""

UNCHANGED = "bf16"
WEIGHTS = (UNCHANGED, "int8", "int8_dynamic", "fp8")
"""How weights are held.

- `bf16`: as they were loaded: bfloat16 on a GPU, float32 on a CPU.
- `int8`: integers, multiplied as the activations' type. Saves memory; a step makes a copy of each weight and is slower.
- `int8_dynamic`: integers, and so are activations while they are multiplied, with a scale for each position.
- `fp8`: float8 (e4m3) of weights and activations likewise; on GPUs of compute capability 8.9 and above.
"""
BYTES = {"int8": 1, "int8_dynamic": 1, "fp8": 1}
"""Of a number that is held otherwise."""
