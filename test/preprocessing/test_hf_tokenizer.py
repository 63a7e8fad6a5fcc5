"""tokenizer.json against the `tokenizers` library itself, and every way in which its files can disagree."""

import json
import shutil

import pytest
from tokenizers import Tokenizer

from dvla_ros.errors import CheckpointError
from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer


@pytest.fixture
def copied(tmp_path, llama_folder):
    folder = tmp_path / "checkpoint"
    shutil.copytree(llama_folder, folder)
    return folder


def change(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("name", ["llama", "llada", "qwen2"])
def test_ids_equal_the_library(request, name, instruction):
    tokenizer = request.getfixturevalue(name)
    library = Tokenizer.from_file(str(request.getfixturevalue(f"{name}_folder") / "tokenizer.json"))
    for special in (True, False):
        ids = tokenizer.encode(instruction, add_special_tokens=special)
        assert ids == library.encode(instruction, add_special_tokens=special).ids
        assert tokenizer.decode(ids) == library.decode(ids)


@pytest.mark.parametrize("name", ["llama", "llada"])
def test_text_comes_back(request, name, instruction):
    tokenizer = request.getfixturevalue(name)
    assert tokenizer.decode(tokenizer.encode(instruction)) == instruction


def test_llamas_bytes_space_and_control_tokens_have_their_ids(llama):
    assert llama.encode("\n🙂", add_special_tokens=False) == [29871, 13, 243, 162, 156, 133]
    assert llama.encode("a")[0] == 1
    assert (llama.id_of("▁", 29871), llama.id_of("<PAD>", 32000), llama.id_of("<mask>", 32001)) == (29871, 32000, 32001)
    assert llama.size == 32002


def test_control_tokens_in_the_text_become_their_ids(qwen2):
    assert qwen2.encode("<|im_start|><|image_pad|>") == [151644, 151655]
    assert qwen2.decode([151644], skip_special_tokens=False) == "<|im_start|>"


def test_a_token_with_another_id_is_named(llama):
    with pytest.raises(CheckpointError, match=r"has no token '<\|image_pad\|>'\. Copy it from the base model"):
        llama.id_of("<|image_pad|>")
    with pytest.raises(CheckpointError, match="'<mask>' has id 32001, expected 32000"):
        llama.id_of("<mask>", 32000)
    with pytest.raises(CheckpointError, match=r"'<a>' is missing, expected 5; '</s>' has id 2, expected 3\."):
        llama.require({"<s>": 1, "<a>": 5, "</s>": 3})


def test_a_missing_tokenizer_is_refused_with_the_fix(tmp_path):
    with pytest.raises(CheckpointError, match="no tokenizer.json in .*, nothing in its place. Copy it from the base"):
        HfTokenizer.open(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"\n\x0e")
    with pytest.raises(CheckpointError, match="only tokenizer.model, which cannot be read here. Convert it once"):
        HfTokenizer.open(tmp_path)


def test_a_broken_tokenizer_is_refused(copied):
    (copied / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(CheckpointError, match="tokenizer.json is not a tokenizer"):
        HfTokenizer.open(copied)


def test_tokens_that_only_the_side_files_know_are_added_at_the_end(copied):
    change(copied, "added_tokens.json", **{"<b>": 32003, "<a>": 32002})
    tokenizer = HfTokenizer.open(copied)
    assert tokenizer.encode("<a><b>", add_special_tokens=False)[-2:] == [32002, 32003]
    assert tokenizer.special_tokens["<a>"] == 32002


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("added_tokens.json", {"<mask>": 32005}, "gives '<mask>' the id 32001, another file gives it 32005"),
        ("added_tokens.json", {"<far>": 40000}, "'<far>' has id 32002 in tokenizer.json and should have 40000"),
        ("added_tokens.json", {"▁": 7}, "'▁' has id 29871 in tokenizer.json and should have 7"),
        ("added_tokens.json", {"<x>": "many"}, "has the token id 'many'; it must be a whole number"),
        ("special_tokens_map.json", {"sep_token": "<sep>"}, "'<sep>' has an id in no file"),
        ("special_tokens_map.json", {"sep_token": {"text": "<sep>"}}, "must be a string or have a 'content'"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"32002": {"content": "</s>"}}}, "'</s>' has id 2 "),
    ],
)
def test_files_that_disagree_are_refused(copied, name, values, message):
    change(copied, name, **values)
    with pytest.raises(CheckpointError, match=message):
        HfTokenizer.open(copied)


def test_remote_code_and_missing_side_files_do_not_matter(copied, llama):
    change(copied, "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Tokenizer", None]})
    (copied / "evil.py").write_text("raise RuntimeError('this code must never run')")
    (copied / "added_tokens.json").unlink()
    (copied / "special_tokens_map.json").unlink()
    assert HfTokenizer.open(copied).encode("pick it up") == llama.encode("pick it up")


def test_padding_and_truncation_left_over_from_training_are_switched_off(copied, llama):
    left_over = Tokenizer.from_file(str(copied / "tokenizer.json"))
    left_over.enable_truncation(4)
    left_over.enable_padding(length=50)
    left_over.save(str(copied / "tokenizer.json"))
    assert HfTokenizer.open(copied).encode("pick up the cube") == llama.encode("pick up the cube")
