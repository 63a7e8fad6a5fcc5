r"""How fast policies decode: against the floor of this device and the published way, in one run; `dvla benchmark`.

Examples:
    .venv/bin/python benchmarks/decode.py
    .venv/bin/python benchmarks/decode.py --growth --no-chunks --growth-plot docs/images/decode_growth.png
    .venv/bin/python benchmarks/decode.py --device cuda --size true --cache exact prefix dllm --repeats 8 \
        --json benchmarks/results/decode_cuda.json --plot docs/images/decode_cuda.png --write docs/benchmarks.md

The last one is for a machine with an NVIDIA GPU of 40 GB or more and is planned for less than 10 minutes: no
weights are downloaded or written, they are drawn on the GPU.
"""

import sys
from collections.abc import Sequence

from dvla_ros.benchmark_command import benchmark
from dvla_ros.errors import DvlaError


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return benchmark(words, prog="benchmarks/decode.py")
    except DvlaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
