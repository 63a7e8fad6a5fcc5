"""From images and an instruction to the prompt that Qwen2-VL reads, as the files beside a checkpoint say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dvla_ros.errors import CheckpointError, ObservationError
from dvla_ros.models.qwen2_vl import Question
from dvla_ros.models.qwen2_vl_config import Qwen2VLConfig
from dvla_ros.models.qwen2_vl_positions import Grid
from dvla_ros.policies.published.deployment import Deployment
from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer
from dvla_ros.preprocessing.qwen2_images import Qwen2Images
from dvla_ros.preprocessing.qwen2_prompt import IMAGE_PAD, Qwen2Prompt, check_chat_template

_CROP = 0.95  # of each side, at test time
_FRAMES = 2  # a still image is shown twice
PREPROCESSOR = "preprocessor_config.json"
_NEEDED = (PREPROCESSOR, "chat_template.json")


@dataclass(frozen=True)
class Qwen2VlReader:
    """Makes prompts, and words of answers.

    Attributes:
        images: Camera images to patches.
        prompt: Instruction to ids.
    """

    images: Qwen2Images
    prompt: Qwen2Prompt

    @classmethod
    def open(cls, folder: Path, processor: Path, sizes: Qwen2VLConfig, deployment: Deployment) -> "Qwen2VlReader":
        """Read the small files.

        Args:
            folder: The checkpoint, with its tokenizer.
            processor: The folder with `preprocessor_config.json` and `chat_template.json`, which training does not
                write; also with the tokenizer where the checkpoint has none.
            sizes: Of the network.
            deployment: Crop and rotation.

        Raises:
            CheckpointError: A file is missing or unreadable, or is not of this network.
        """
        if missing := [name for name in _NEEDED if not (processor / name).is_file()]:
            raise CheckpointError(
                f"{processor} lacks {' and '.join(missing)}, which training does not write. Copy "
                f"{'it' if len(missing) == 1 else 'them'} from the base model, Qwen2-VL-2B-Instruct, or name that "
                "model's folder in the deployment file: files: {processor: PATH}."
            )
        check_chat_template(processor)
        crop = _CROP if deployment.center_crop else 1.0
        images = Qwen2Images.open(processor, crop_ratio=crop, rotate_180=deployment.rotate_180)
        _check_patches(images, sizes, processor)
        tokenizer = HfTokenizer.open(folder if (folder / "tokenizer.json").is_file() else processor)
        _check_vocabulary(tokenizer, sizes, folder)
        return cls(images, Qwen2Prompt(tokenizer))

    def __call__(self, images: Sequence[np.ndarray], instruction: str) -> Question:
        """The prompt of uint8 images `[H, W, 3]`, in the order of training, and an instruction.

        Raises:
            ObservationError: An image is not usable, or the instruction is empty or spells a control token.
        """
        if not instruction.strip():
            raise ObservationError("The instruction is empty; say what to do, e.g. 'pick up the red cube'.")
        patches = self.images(images)
        ids = self.prompt(instruction, patches.tokens)
        grids = tuple(Grid(*grid) for grid in patches.grids.tolist())
        return Question(torch.tensor(ids), patches.values, grids)

    def words(self, tokens: Sequence[int]) -> str:
        """The text of an answer, control tokens left out."""
        return self.prompt.tokenizer.decode(tokens).strip()


def _check_patches(images: Qwen2Images, sizes: Qwen2VLConfig, processor: Path) -> None:
    vision = sizes.vision
    found = (images.patch, images.merge, _FRAMES)
    wanted = (vision.patch_size, vision.spatial_merge_size, vision.temporal_patch_size)
    if found != wanted or vision.in_channels != 3:
        raise CheckpointError(
            f"{processor / PREPROCESSOR} makes patches of (size, merge, frames) {found} and 3 channels, the network "
            f"takes {wanted} and {vision.in_channels}; copy the file of the model that the network was trained from."
        )


def _check_vocabulary(tokenizer: HfTokenizer, sizes: Qwen2VLConfig, folder: Path) -> None:
    if tokenizer.size > sizes.vocabulary:
        raise CheckpointError(
            f"{folder}: the tokenizer has {tokenizer.size} tokens, the network's vocabulary {sizes.vocabulary}; take "
            "both from the same training run."
        )
    if sizes.image_token != IMAGE_PAD:
        raise CheckpointError(
            f"{folder / 'config.json'}: image_token_id is {sizes.image_token}, but Qwen2-VL's <|image_pad|> is "
            f"{IMAGE_PAD}; take the config.json that belongs to the weights."
        )
