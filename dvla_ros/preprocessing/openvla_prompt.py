"""The prompt of OpenVLA, OpenVLA-OFT and Discrete Diffusion VLA."""

from collections.abc import Mapping
from dataclasses import dataclass

from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer
from dvla_ros.preprocessing.token_ids import require_plain

BOS, EOS, SPACE, PAD, MASK = 1, 2, 29871, 32000, 32001
OPENVLA_IDS: Mapping[str, int] = {"<unk>": 0, "<s>": BOS, "</s>": EOS, "▁": SPACE, "<PAD>": PAD}
_MASK = "<mask>"


@dataclass(frozen=True)
class OpenVlaPrompt:
    """The prompt's ids from an instruction.

    Attributes:
        tokenizer: Llama-2's, with a padding token.

    Raises:
        CheckpointError: Control tokens have other ids than those of `OPENVLA_IDS`, or `<mask>` is not 32001. A
            tokenizer without `<mask>` fits: the released code adds it after loading.
    """

    tokenizer: HfTokenizer

    def __post_init__(self) -> None:
        self.tokenizer.require(OPENVLA_IDS)
        if self.tokenizer.find(_MASK) is not None:
            self.tokenizer.require({_MASK: MASK})

    def __call__(self, instruction: str) -> list[int]:
        """BOS, the question around the instruction in lower case, and the space that precedes the actions.

        Raises:
            ObservationError: The instruction spells a control token.
        """
        text = openvla_prompt(require_plain(instruction, self.tokenizer.special_tokens))
        ids = [BOS, *self.tokenizer.encode(text, add_special_tokens=False)]
        return ids if ids[-1] == SPACE else [*ids, SPACE]


def openvla_prompt(instruction: str) -> str:
    """The question that every OpenVLA network was trained with."""
    return f"In: What action should the robot take to {instruction.lower()}?\nOut:"
