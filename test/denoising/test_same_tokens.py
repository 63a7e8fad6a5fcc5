"""Every decoder gives the tokens that it always gave: what was recorded of a run is compared, step by step.

After a change that is meant to change answers, `python test/denoising/test_same_tokens.py` records them anew.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import action_canvas
from test_every_decoder import EXAMPLES, Case, some, with_actions_alone_free

from dvla_ros.denoising.canvas import FREE, Canvas, Segment, WarmStart

RECORDED = Path(__file__).with_name("data") / "tokens.json"
BY_NAME = {str(example): example for example in EXAMPLES}
SEEDS = (11, 2**40, -3)


def case_of(canvas: Canvas, given: float, guessed: float) -> Case:
    """Three rows of a canvas, with about these shares of it given and guessed."""
    random = torch.Generator().manual_seed(5)
    prefilled = canvas.initial(1, None, torch.device("cpu"))[1]

    def ids(share: float) -> torch.Tensor:
        parts = [some(random, (len(SEEDS), s.length), s.vocabulary, share) for s in canvas.segments]
        return torch.cat(parts, dim=1)

    frozen = ids(given).masked_fill(prefilled, FREE)
    confidence = torch.rand(len(SEEDS), canvas.length, generator=random)
    return Case(canvas, SEEDS, frozen, WarmStart(ids(guessed), confidence), network_seed=9)


def image_and_action() -> Canvas:
    frame = (FREE,) * 5 + (3,)
    return Canvas((Segment("image", 1, 6, 6, prefilled=frame, reserved=1), Segment("action", 4, 3, 9)))


CASES = (
    case_of(action_canvas(), 0.0, 0.0),
    case_of(action_canvas(vocabulary=9), 0.2, 0.4),
    case_of(image_and_action(), 0.0, 0.0),
    case_of(image_and_action(), 0.3, 0.5),
)


def answers(example) -> str:
    """A number that stands for all that was decided in every step of all cases."""
    code = 0
    for case in CASES:
        result = (with_actions_alone_free(case) if example.only_actions else case).run(example.make())
        for step in result.trace:
            for part in (step.tokens, step.committed, step.remasked):
                code = zlib.crc32(part.numpy().astype(np.int32).tobytes(), code)
        code = zlib.crc32(result.tokens.numpy().astype(np.int32).tobytes(), code)
    return f"{code:08x}"


@pytest.mark.parametrize("name", BY_NAME)
def test_the_tokens_of_every_step_are_those_that_were_recorded(name):
    recorded = json.loads(RECORDED.read_text())
    assert name in recorded, f"nothing is recorded of {name}; run python {Path(__file__).name}"
    assert answers(BY_NAME[name]) == recorded[name]


if __name__ == "__main__":
    RECORDED.write_text(json.dumps({name: answers(example) for name, example in BY_NAME.items()}, indent=1) + "\n")
