"""Small tokenizers in the published file layouts, with the published ids: for new checkpoints and for tests.

Text becomes other ids than with the published vocabularies (the merges are of a few words); control tokens, bytes,
digits and the size of the vocabulary are those of the originals.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dvla_ros.preprocessing import emu3_tokenizer, llada_prompt, openvla_prompt, qwen2_prompt
from dvla_ros.preprocessing.fresh_vocabulary import byte_alphabet, byte_order, grown, word_pieces

_SPACE, _BYTE_SPACE = "▁", "Ġ"
_LLAMA_BYTES = 3  # ids of the bytes begin after <unk>, <s>, </s>
_LLAMA_SIZE = 32000
_LLAMA_SINGLES = "".join(chr(code) for code in (*range(33, 127), *range(192, 256)))
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_CONTROL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|>"
).split()
_QWEN_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n"
    "{% if turn['content'] is string %}{{ turn['content'] }}{% else %}{% for part in turn['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_LLADA_TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %}<|start_header_id|>{{ turn['role'] }}<|end_header_id|>\n\n"
    "{{ turn['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def write_llama_tokenizer(folder: Path) -> None:
    """Llama-2's form with OpenVLA's `<PAD>` 32000 and Discrete Diffusion VLA's `<mask>` 32001: 32002 ids."""
    control = {"<unk>": 0, "<s>": openvla_prompt.BOS, "</s>": openvla_prompt.EOS}
    added = {"<PAD>": openvla_prompt.PAD, "<mask>": openvla_prompt.MASK}
    singles = list(dict.fromkeys([_SPACE, *_LLAMA_SINGLES]))
    singles += [chr(0x4E00 + index) for index in range(_LLAMA_SIZE - openvla_prompt.SPACE - len(singles))]
    merges = word_pieces(_SPACE)
    start = _LLAMA_BYTES + 256
    pieces = grown(("".join(merge) for merge in merges), openvla_prompt.SPACE - start)
    names = [*control, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces, *singles]
    model = _bpe(names, merges) | {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True}
    replace_space = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
    decoders = [
        {"type": "Replace", "pattern": {"String": _SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]
    tokenizer = {
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": _SPACE}, replace_space]},
        "pre_tokenizer": None,
        "post_processor": _bos_template("<s>", openvla_prompt.BOS),
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": model,
    }
    _write_tokenizer(folder, tokenizer, control | added)
    _write(folder, "added_tokens.json", added)
    names_of = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<PAD>",
        "mask_token": "<mask>",
    }
    options = {"add_bos_token": True, "add_eos_token": False, "padding_side": "right", "model_max_length": 2048}
    _write_config(
        folder, "LlamaTokenizer", names_of, options | {"processor_class": "PrismaticProcessor"}, control | added
    )


def write_emu3_tokenizer(folder: Path) -> None:
    """Emu3's form: `emu3.tiktoken` of 151643 ranks and the names of 3 image tokens and 32768 image codes."""
    folder.mkdir(parents=True, exist_ok=True)
    bytes_first = [bytes([byte]) for byte in byte_order()]
    words = ("".join(merge).encode() for merge in word_pieces(" "))
    # Latin-1 keeps the bytes as they are, so that the filler is found by the same walk as everywhere.
    names = [token.decode("latin-1") for token in (*bytes_first, *words)]
    tokens = (name.encode("latin-1") for name in grown(names, emu3_tokenizer.PAD))
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))
    (folder / "emu3.tiktoken").write_bytes(b"".join(lines))
    codes = (f"<|visual token {code:06d}|>" for code in range(emu3_tokenizer.NUM_CODES))
    vision = ["<|image token|>", "<|image start|>", "<|image end|>", *codes]
    (folder / "emu3_vision_tokens.txt").write_text("\n".join(vision) + "\n", encoding="utf-8")
    names_of = {"bos_token": "<|extra_203|>", "eos_token": "<|extra_204|>", "pad_token": "<|endoftext|>"}
    options = {
        "img_token": "<|image token|>",
        "boi_token": "<|image start|>",
        "eoi_token": "<|image end|>",
        "eol_token": "<|extra_200|>",
        "eof_token": "<|extra_201|>",
        "boa_token": "<|extra_198|>",
        "eoa_token": "<|extra_199|>",
        "auto_map": {"AutoTokenizer": ["tokenization_emu3.Emu3Tokenizer", None]},
    }
    _write_config(folder, "Emu3Tokenizer", names_of, options, {})


def write_llada_tokenizer(folder: Path) -> None:
    """LLaDA's form: 126080 byte-level pieces and the control tokens up to `<|eot_id|>` 126348."""
    named = dict(llada_prompt.LLADA_IDS) | {"[CLS]": llada_prompt.EOS + 1, "[gMASK]": llada_prompt.EOS + 2}
    taken = set(named.values())
    free = (number for number in range(llada_prompt.BOS, llada_prompt.END_OF_TURN + 1) if number not in taken)
    control = named | {f"<|reserved_token_{index}|>": number for index, number in enumerate(free)}
    names, merges = _byte_level(llada_prompt.BOS)
    _write_tokenizer(folder, _byte_level_tokenizer(names, merges, normalizer=None), control)
    names_of = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    options = {"add_bos_token": False, "add_eos_token": False, "chat_template": _LLADA_TEMPLATE}
    _write_config(folder, "PreTrainedTokenizerFast", names_of, options, control)


def write_qwen2_tokenizer(folder: Path) -> None:
    """Qwen2-VL's form: 151643 byte-level pieces, 14 control tokens, and the two files that training does not copy."""
    control = {token: qwen2_prompt.PAD + index for index, token in enumerate(_QWEN_CONTROL)}
    names, merges = _byte_level(qwen2_prompt.PAD)
    _write_tokenizer(folder, _byte_level_tokenizer(names, merges, normalizer={"type": "NFC"}), control)
    _write(folder, "vocab.json", {name: number for number, name in enumerate(names)})
    lines = ["#version: 0.2", *(" ".join(merge) for merge in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names_of = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    options = {"add_prefix_space": False, "model_max_length": 32768, "chat_template": _QWEN_TEMPLATE}
    _write_config(folder, "Qwen2Tokenizer", names_of, options, control)
    _write(folder, "chat_template.json", {"chat_template": _QWEN_TEMPLATE})
    _write(folder, "preprocessor_config.json", _qwen_image_settings())


def _qwen_image_settings() -> dict[str, Any]:
    return {
        "min_pixels": 56 * 56,
        "max_pixels": 14 * 14 * 4 * 16384,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
    }


def _byte_level(size: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Pieces of a byte-level vocabulary in the order of ids, and its merges."""
    merges = word_pieces(_BYTE_SPACE)
    return grown([*byte_alphabet(), *("".join(merge) for merge in merges)], size), merges


def _byte_level_tokenizer(
    names: Sequence[str], merges: Sequence[tuple[str, str]], normalizer: Mapping[str, Any] | None
) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": _QWEN_SPLIT}, "behavior": "Isolated", "invert": False}
    return {
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": _bpe(names, merges),
    }


def _bpe(names: Sequence[str], merges: Sequence[tuple[str, str]]) -> dict[str, Any]:
    vocabulary = {name: number for number, name in enumerate(names)}
    return {"type": "BPE", "vocab": vocabulary, "merges": [" ".join(merge) for merge in merges]}


def _bos_template(token: str, number: int) -> dict[str, Any]:
    bos, text = {"SpecialToken": {"id": token, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    second = [{part: entry | {"type_id": 1} for part, entry in item.items()} for item in (bos, text)]
    second[1]["Sequence"]["id"] = "B"
    return {
        "type": "TemplateProcessing",
        "single": [bos, text],
        "pair": [bos, text, *second],
        "special_tokens": {token: {"id": token, "ids": [number], "tokens": [token]}},
    }


def _write_tokenizer(folder: Path, tokenizer: Mapping[str, Any], control: Mapping[str, int]) -> None:
    added = [{"id": number, **_added(token)} for token, number in sorted(control.items(), key=lambda item: item[1])]
    head = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added}
    _write(folder, "tokenizer.json", head | dict(tokenizer))


def _write_config(
    folder: Path,
    kind: str,
    names: Mapping[str, str],
    options: Mapping[str, Any],
    control: Mapping[str, int],
) -> None:
    decoder = {str(number): _added(token) for token, number in sorted(control.items(), key=lambda item: item[1])}
    values = {"tokenizer_class": kind, **names, **options}
    _write(folder, "tokenizer_config.json", values | ({"added_tokens_decoder": decoder} if decoder else {}))
    _write(folder, "special_tokens_map.json", dict(names))


def _added(token: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"content": token, **flags, "special": True}


def _write(folder: Path, name: str, values: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    (folder / name).write_text(text, encoding="utf-8")
