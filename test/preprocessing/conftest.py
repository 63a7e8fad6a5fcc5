"""Pictures like a camera's, and one folder of each tokenizer form, written once."""

import numpy as np
import pytest

from dvla_ros.preprocessing.emu3_tokenizer import Emu3Tokenizer
from dvla_ros.preprocessing.fresh_tokenizers import (
    write_emu3_tokenizer,
    write_llada_tokenizer,
    write_llama_tokenizer,
    write_qwen2_tokenizer,
)
from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer


def _picture(height, width, seed=0):
    """Gradients, a disc with a hard edge, stripes and sensor noise: uint8 `[height, width, 3]`."""
    y, x = np.mgrid[:height, :width].astype(float)
    image = np.stack([128 + 90 * np.sin(x / 17), 30 + 200 * y / height, 220 - 180 * x / width], axis=-1)
    disc = (y - height / 2) ** 2 + (x - width / 3) ** 2 < (min(height, width) / 5) ** 2
    image[disc] = (235, 30, 25)
    image[:, int(0.8 * width) :: 4] = (10, 10, 10)
    noise = np.random.default_rng(seed).normal(0, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def picture():
    return _picture


def _folder(tmp_path_factory, name, write):
    folder = tmp_path_factory.mktemp(name)
    write(folder)
    return folder


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory):
    return _folder(tmp_path_factory, "llama", write_llama_tokenizer)


@pytest.fixture(scope="session")
def llada_folder(tmp_path_factory):
    return _folder(tmp_path_factory, "llada", write_llada_tokenizer)


@pytest.fixture(scope="session")
def qwen2_folder(tmp_path_factory):
    return _folder(tmp_path_factory, "qwen2", write_qwen2_tokenizer)


@pytest.fixture(scope="session")
def emu3_folder(tmp_path_factory):
    return _folder(tmp_path_factory, "emu3", write_emu3_tokenizer)


@pytest.fixture(scope="session")
def llama(llama_folder):
    return HfTokenizer.open(llama_folder)


@pytest.fixture(scope="session")
def llada(llada_folder):
    return HfTokenizer.open(llada_folder)


@pytest.fixture(scope="session")
def qwen2(qwen2_folder):
    return HfTokenizer.open(qwen2_folder)


@pytest.fixture(scope="session")
def emu3(emu3_folder):
    return Emu3Tokenizer.open(emu3_folder)


@pytest.fixture(
    params=[
        "put the red cube on the plate",
        "Stack 12 blocks, then 3.5 more!",
        "don't drop it; it's the robot's cup, we'll need it",
        "coupe l'aubergine en dés – à côté de l'évier",
        "cafe\u0301 noir",
        "把红色方块放到碗里",
        "赤いカップを 左へ",
        "поставь чашку",
        "put it 🙂👩‍🚒 there",
        "tab\there\nand\r\n\r\nlines  with   spaces ",
        " leading space",
        "()[]{}<>|*&^%$#@~`\\\"'",
        "<|not a token|> <s >",
        "",
        " ",
        "pick up the cube " * 500,
    ],
    ids=lambda text: repr(text[:12]),
)
def instruction(request):
    """Instructions with accents, emoji, other scripts, tabs, line breaks, digits, apostrophes; empty and very long."""
    return request.param
