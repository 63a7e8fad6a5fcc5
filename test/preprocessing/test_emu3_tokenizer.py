"""emu3.tiktoken against the `tiktoken` library itself, and the ids of the published vocabulary."""

import shutil
import unicodedata

import pytest
import tiktoken
from tiktoken.load import load_tiktoken_bpe

from dvla_ros.errors import CheckpointError
from dvla_ros.preprocessing.emu3_tokenizer import EMU3_IDS, Emu3Tokenizer

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module")
def library(emu3_folder):
    """With the few control tokens that a prompt is written with."""
    ranks = load_tiktoken_bpe(str(emu3_folder / "emu3.tiktoken"))
    return tiktoken.Encoding("reference", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=dict(EMU3_IDS))


@pytest.fixture
def copied(tmp_path, emu3_folder):
    folder = tmp_path / "checkpoint"
    shutil.copytree(emu3_folder, folder)
    return folder


def test_ids_equal_the_library(emu3, library, instruction):
    ids = emu3.encode(instruction)
    assert ids == library.encode(unicodedata.normalize("NFC", instruction), disallowed_special=())
    assert emu3.decode(ids) == unicodedata.normalize("NFC", instruction)


def test_the_published_table_of_ids(emu3):
    assert emu3.size == 184622
    assert [emu3.id_of(f"<|extra_{i}|>") for i in (0, 196, 198, 199, 202)] == [151646, 151842, 151844, 151845, 151848]
    assert emu3.id_of("<|visual token 000100|>", 151954) == 151954
    assert emu3.encode("0123456789*") == [*range(15, 25), 9]


def test_control_tokens_in_the_text_stay_text(emu3):
    ids = emu3.encode("<|extra_199|>")
    assert len(ids) > 1 and max(ids) < 151643
    assert emu3.decode(ids) == "<|extra_199|>"


def test_control_tokens_decode_to_their_names(emu3):
    text = emu3.encode("25*25")
    assert emu3.decode([151852, *text, 151851, 151854]) == "<|image start|>25*25<|image token|><|visual token 000000|>"
    assert emu3.decode(emu3.encode("é")[:1]) == "\N{REPLACEMENT CHARACTER}"


def test_unknown_tokens_are_refused(emu3):
    with pytest.raises(CheckpointError, match="no control token '<mask>'. Copy it from BAAI/Emu3-Stage1"):
        emu3.id_of("<mask>")
    with pytest.raises(CheckpointError, match="has id 151848, expected 1"):
        emu3.id_of("<|extra_202|>", 1)


@pytest.mark.parametrize("name", ["emu3.tiktoken", "emu3_vision_tokens.txt"])
def test_a_missing_file_is_refused_with_the_fix(copied, name):
    (copied / name).unlink()
    with pytest.raises(CheckpointError, match=f"There is no {name} in .* Copy it from BAAI/Emu3-Stage1"):
        Emu3Tokenizer.open(copied)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"!!! 7", "line 151644, is no base64 token"),
        (b"IQ==", "line 151644, is no base64"),
        (b"enp6eno= 151643", "0..151642"),
    ],
)
def test_wrong_lines_are_refused(copied, line, message):
    with (copied / "emu3.tiktoken").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(CheckpointError, match=message):
        Emu3Tokenizer.open(copied)


def test_another_number_of_text_tokens_is_refused(copied):
    lines = (copied / "emu3.tiktoken").read_bytes().splitlines(keepends=True)
    (copied / "emu3.tiktoken").write_bytes(b"".join(lines[:-1]))
    with pytest.raises(CheckpointError, match=r"must have the ranks 0\.\.151642 once each, got 151642 tokens"):
        Emu3Tokenizer.open(copied)


def test_image_tokens_in_another_place_are_refused(copied):
    lines = (copied / "emu3_vision_tokens.txt").read_text().splitlines()
    (copied / "emu3_vision_tokens.txt").write_text("\n".join(lines[3:]))
    with pytest.raises(
        CheckpointError, match=r"'<\|image token\|>' is missing, .*'<\|visual token 000000\|>' has id 151851"
    ):
        Emu3Tokenizer.open(copied)
