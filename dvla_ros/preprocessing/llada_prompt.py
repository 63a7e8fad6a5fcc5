"""The prompt of LLaDA-V, the base of LLaDA-VLA, with a slot where the image's features go."""

from collections.abc import Mapping
from dataclasses import dataclass

from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer
from dvla_ros.preprocessing.token_ids import require_plain

BOS, EOS, MASK, START_HEADER, END_HEADER, END_OF_TURN = 126080, 126081, 126336, 126346, 126347, 126348
LLADA_IDS: Mapping[str, int] = {
    "<|startoftext|>": BOS,
    "<|endoftext|>": EOS,
    "<|mdm_mask|>": MASK,
    "<|start_header_id|>": START_HEADER,
    "<|end_header_id|>": END_HEADER,
    "<|eot_id|>": END_OF_TURN,
}
# The words that LLaDA-V was trained with; other words are another prompt.
_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)


@dataclass(frozen=True)
class LladaPromptIds:
    """Ids before the image and after it; the answer's masked positions follow.

    Attributes:
        before_image: BOS up to the user's first line.
        after_image: The line break and instruction, up to the assistant's first line.
    """

    before_image: list[int]
    after_image: list[int]


@dataclass(frozen=True)
class LladaPrompt:
    """The prompt's ids from an instruction.

    Attributes:
        tokenizer: LLaDA's.

    Raises:
        CheckpointError: Control tokens have other ids than those of `LLADA_IDS`.
    """

    tokenizer: HfTokenizer

    def __post_init__(self) -> None:
        self.tokenizer.require(LLADA_IDS)

    def __call__(self, instruction: str) -> LladaPromptIds:
        """System turn, user turn (image, line break, instruction as it is), and the head of the assistant's turn.

        Raises:
            ObservationError: The instruction spells a control token.
        """
        before, after = llada_prompt(require_plain(instruction, self.tokenizer.special_tokens))
        encode = self.tokenizer.encode
        return LladaPromptIds(encode(before, add_special_tokens=False), encode(after, add_special_tokens=False))


def llada_prompt(instruction: str) -> tuple[str, str]:
    """The text before the image and the text after it."""
    before = f"<|startoftext|>{_head('system')}{_SYSTEM}<|eot_id|>{_head('user')}"
    return before, f"\n{instruction}<|eot_id|>{_head('assistant')}"


def _head(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"
