"""The prompt of Qwen2-VL: DexVLA and DiffusionVLA put all images before the instruction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dvla_ros.errors import CheckpointError, ObservationError
from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer
from dvla_ros.preprocessing.json_file import read_json, read_optional_json
from dvla_ros.preprocessing.token_ids import require_plain

PAD, START, END, VISION_START, VISION_END, IMAGE_PAD = 151643, 151644, 151645, 151652, 151653, 151655
QWEN2_IDS: Mapping[str, int] = {
    "<|endoftext|>": PAD,
    "<|im_start|>": START,
    "<|im_end|>": END,
    "<|vision_start|>": VISION_START,
    "<|vision_end|>": VISION_END,
    "<|image_pad|>": IMAGE_PAD,
}
_FILE = "chat_template.json"
_COPY = "Training does not write it: copy it from the base model, Qwen2-VL-2B-Instruct."
_PROBE = "put the cup\non the plate"


@dataclass(frozen=True)
class Qwen2Prompt:
    """The prompt's ids from an instruction.

    Attributes:
        tokenizer: Qwen2-VL's.

    Raises:
        CheckpointError: Control tokens have other ids than those of `QWEN2_IDS`.
    """

    tokenizer: HfTokenizer

    def __post_init__(self) -> None:
        self.tokenizer.require(QWEN2_IDS)

    def __call__(self, instruction: str, image_tokens: Sequence[int]) -> list[int]:
        """System turn, user turn (images, instruction as it is), and the head of the assistant's turn.

        Args:
            instruction: Any text.
            image_tokens: Tokens of each image, `Qwen2Patches.tokens`.

        Raises:
            ObservationError: The instruction spells a control token, or an image has no token.
        """
        if any(count < 1 for count in image_tokens):
            raise ObservationError(f"Every image needs 1 token or more, got {list(image_tokens)}.")
        text = qwen2_prompt(require_plain(instruction, self.tokenizer.special_tokens), image_tokens)
        return self.tokenizer.encode(text, add_special_tokens=False)


def qwen2_prompt(instruction: str, image_tokens: Sequence[int]) -> str:
    """The text, with one `<|image_pad|>` for each token of each image."""
    images = "".join(f"<|vision_start|>{'<|image_pad|>' * count}<|vision_end|>" for count in image_tokens)
    return (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        f"<|im_start|>user\n{images}{instruction}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def check_chat_template(folder: Path) -> None:
    """Nothing, where the directory's chat template writes the prompt that `qwen2_prompt` writes.

    The template is rendered in jinja2's sandbox with two images and an instruction.

    Raises:
        CheckpointError: There is no template, it cannot be rendered, or it writes something else.
    """
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    image, text = {"type": "image", "image": None}, {"type": "text", "text": _PROBE}
    messages = [{"role": "user", "content": [image, image, text]}]
    try:
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        written = environment.from_string(_chat_template(folder)).render(messages=messages, add_generation_prompt=True)
    except jinja2.TemplateError as error:
        raise CheckpointError(f"The chat template in {folder} cannot be rendered: {error}. {_COPY}") from error
    if written != (expected := qwen2_prompt(_PROBE, [1, 1])):
        raise CheckpointError(
            f"The chat template in {folder} writes {written!r}, the network was trained with {expected!r}. {_COPY}"
        )


def _chat_template(folder: Path) -> str:
    """From the file of its own where there is one (newer releases write it bare), else from the tokenizer's."""
    bare = folder / "chat_template.jinja"
    if bare.is_file():
        return bare.read_text(encoding="utf-8")
    template = None
    if not (folder / _FILE).is_file():
        template = read_optional_json(folder, "tokenizer_config.json").get("chat_template")
    return str(read_json(folder, _FILE, _COPY).get("chat_template") if template is None else template)
