"""Tokenizers that are written here: the published file names, sizes and ids, and the same bytes every time."""

import json

import pytest

from dvla_ros.preprocessing.fresh_tokenizers import (
    write_emu3_tokenizer,
    write_llada_tokenizer,
    write_llama_tokenizer,
    write_qwen2_tokenizer,
)

COMMON = {"tokenizer_config.json", "special_tokens_map.json"}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("llama", {"tokenizer.json", "added_tokens.json"}),
        ("llada", {"tokenizer.json"}),
        ("emu3", {"emu3.tiktoken", "emu3_vision_tokens.txt"}),
        (
            "qwen2",
            {"tokenizer.json", "vocab.json", "merges.txt", "chat_template.json", "preprocessor_config.json"},
        ),
    ],
)
def test_the_published_file_names(request, name, files):
    folder = request.getfixturevalue(f"{name}_folder")
    assert {path.name for path in folder.iterdir()} == files | COMMON


@pytest.mark.parametrize(("name", "size"), [("llama", 32002), ("llada", 126349), ("qwen2", 151657), ("emu3", 184622)])
def test_the_published_number_of_ids(request, name, size):
    assert request.getfixturevalue(name).size == size


def test_every_llama_id_has_a_token(llama_folder):
    values = json.loads((llama_folder / "tokenizer.json").read_text())
    assert sorted(values["model"]["vocab"].values()) == list(range(32000))


def test_qwen2s_vocabulary_file_is_that_of_the_tokenizer(qwen2_folder):
    model = json.loads((qwen2_folder / "tokenizer.json").read_text())["model"]
    assert json.loads((qwen2_folder / "vocab.json").read_text()) == model["vocab"]
    assert (qwen2_folder / "merges.txt").read_text().splitlines()[1:] == model["merges"]
    assert sorted(model["vocab"].values()) == list(range(151643))


def test_words_of_instructions_are_one_token(qwen2, llada, llama, emu3):
    for tokenizer in (qwen2, llada, emu3):
        assert len(tokenizer.encode("put the red cube on the plate")) == 7
    assert len(llama.encode("put the red cube on the plate", add_special_tokens=False)) == 7


@pytest.mark.parametrize(
    "write", [write_llama_tokenizer, write_llada_tokenizer, write_qwen2_tokenizer, write_emu3_tokenizer]
)
def test_the_same_bytes_every_time_into_a_folder_that_need_not_exist(tmp_path, write):
    first, second = tmp_path / "a" / "b", tmp_path / "c"
    write(first)
    write(second)
    assert all(path.read_bytes() == (second / path.name).read_bytes() for path in first.iterdir())


def test_transformers_reads_them_without_remote_code(llama_folder, qwen2_folder, llama, qwen2):
    from transformers import PreTrainedTokenizerFast

    for folder, ours in ((llama_folder, llama), (qwen2_folder, qwen2)):
        theirs = PreTrainedTokenizerFast.from_pretrained(str(folder))
        assert theirs("pick up the cube")["input_ids"] == ours.encode("pick up the cube")
        assert len(theirs) == ours.size
