"""What each system's network is asked, word for word and id for id."""

import json

import numpy as np
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dvla_ros.errors import CheckpointError, ObservationError
from dvla_ros.preprocessing.emu3_prompt import Emu3Prompt
from dvla_ros.preprocessing.fresh_tokenizers import write_llama_tokenizer
from dvla_ros.preprocessing.hf_tokenizer import HfTokenizer
from dvla_ros.preprocessing.llada_prompt import LladaPrompt, llada_prompt
from dvla_ros.preprocessing.openvla_prompt import OpenVlaPrompt, openvla_prompt
from dvla_ros.preprocessing.qwen2_prompt import Qwen2Prompt, check_chat_template, qwen2_prompt

# The branches of the published template: a default system turn, plain text, images, videos, text parts.
QWEN2_TEMPLATE = """{% set seen = namespace(images=0, videos=0) %}{% for message in messages %}
{%- if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\n' -}}
You are a helpful assistant.<|im_end|>{{ '\n' -}}
{% endif %}{{ '<|im_start|>' + message['role'] + '\n' -}}
{% if message['content'] is string %}{{ message['content'] + '<|im_end|>\n' -}}
{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}
{%- set seen.images = seen.images + 1 %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part['type'] == 'video' or 'video' in part %}{% set seen.videos = seen.videos + 1 -%}
<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>
{{- '\n' -}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' -}}{% endif %}"""


def rendered(template, messages):
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        messages=messages, add_generation_prompt=True, bos_token="<|startoftext|>"
    )


def test_openvla_asks_in_lower_case_and_ends_with_the_space(llama, instruction):
    ids = OpenVlaPrompt(llama)(instruction)
    text = f"In: What action should the robot take to {instruction.lower()}?\nOut:"
    assert openvla_prompt(instruction) == text
    assert ids == [*llama.encode(text), 29871]
    assert ids[0] == 1 and ids.count(1) == 1


def test_openvla_does_not_add_a_second_space(llama, monkeypatch):
    monkeypatch.setattr("dvla_ros.preprocessing.openvla_prompt.openvla_prompt", lambda instruction: instruction)
    ids = OpenVlaPrompt(llama)("a ")
    assert ids[-1] == 29871 and ids[-2] != 29871


def test_openvla_accepts_a_tokenizer_without_mask_and_refuses_another_mask(tmp_path):
    write_llama_tokenizer(tmp_path)
    values = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "special_tokens_map.json").unlink()
    (tmp_path / "added_tokens.json").unlink()
    without = [token for token in values["added_tokens"] if token["content"] != "<mask>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(values | {"added_tokens": without}))
    assert OpenVlaPrompt(HfTokenizer.open(tmp_path))("go")[-1] == 29871
    (tmp_path / "added_tokens.json").write_text('{"<x>": 32001, "<mask>": 32002}')
    with pytest.raises(CheckpointError, match="'<mask>' has id 32002, expected 32001"):
        OpenVlaPrompt(HfTokenizer.open(tmp_path))


def test_another_systems_tokenizer_is_refused_with_all_that_is_wrong(llama, qwen2):
    with pytest.raises(CheckpointError, match=r"'<s>' is missing, expected 1; .*'<PAD>' is missing, expected 32000"):
        OpenVlaPrompt(qwen2)
    with pytest.raises(CheckpointError, match=r"'<\|mdm_mask\|>' is missing, expected 126336"):
        LladaPrompt(llama)
    with pytest.raises(CheckpointError, match=r"'<\|image_pad\|>' is missing, expected 151655"):
        Qwen2Prompt(llama)


def test_emu3_reads_the_instruction_alone(emu3, instruction):
    assert Emu3Prompt(emu3)(instruction) == [151849, *emu3.encode(instruction)]


@pytest.mark.parametrize(("grid", "total"), [((25, 25), 636), ((10, 10), 111)])
def test_an_image_segment_has_its_size_in_words_and_no_line_ends(emu3, grid, total):
    codes = np.arange(grid[0] * grid[1]).reshape(grid) + 5
    ids = Emu3Prompt(emu3).image(codes)
    digits = {"25": [17, 20], "10": [16, 15]}[str(grid[0])]
    assert len(ids) == total
    assert ids[:9] == [151852, 16, 9, *digits, 9, *digits, 151851]
    assert ids[9:-2] == [151854 + 5 + index for index in range(codes.size)]
    assert ids[-2:] == [151847, 151853]


@pytest.mark.parametrize("codes", [np.zeros(4, int), np.zeros((0, 2), int), np.array([[-1]]), np.array([[32768]])])
def test_other_codes_are_refused(emu3, codes):
    with pytest.raises(ObservationError, match=r"Image codes must be \[h, w\] in 0..32767, got "):
        Emu3Prompt(emu3).image(codes)


def test_llada_puts_the_image_at_the_head_of_the_users_turn(llada, llada_folder, instruction):
    before, after = llada_prompt(instruction)
    template = json.loads((llada_folder / "tokenizer_config.json").read_text())["chat_template"]
    system = before.split("<|end_header_id|>\n\n")[1].removesuffix("<|eot_id|><|start_header_id|>user")
    turns = [{"role": "system", "content": system}, {"role": "user", "content": f"<image>\n{instruction}"}]
    if instruction == instruction.strip() and instruction:  # the template trims, training did not
        assert rendered(template, turns) == f"{before}<image>{after}"
    ids = LladaPrompt(llada)(instruction)
    assert ids.before_image[:2] == [126080, 126346] and ids.before_image.count(126348) == 1
    assert ids.after_image.count(126348) == 1
    assert llada.decode(ids.before_image, skip_special_tokens=False) == before
    assert llada.decode(ids.after_image, skip_special_tokens=False) == after


def test_lladas_system_turn_is_the_one_it_was_trained_with():
    assert (
        "You are a helpful language and vision assistant. You are able to understand the visual content"
        in (llada_prompt("")[0])
    )


@pytest.mark.parametrize("images", [0, 1, 3])
def test_qwen2_writes_what_its_template_writes(qwen2, instruction, images):
    content = [*({"type": "image", "image": "x"} for _ in range(images)), {"type": "text", "text": instruction}]
    assert qwen2_prompt(instruction, [1] * images) == rendered(QWEN2_TEMPLATE, [{"role": "user", "content": content}])
    ids = Qwen2Prompt(qwen2)(instruction, [4] * images)
    assert ids == qwen2.encode(qwen2_prompt(instruction, [4] * images), add_special_tokens=False)
    assert (ids.count(151655), ids.count(151652), ids.count(151653)) == (4 * images, images, images)
    assert ids[0] == 151644 and ids.count(151644) == 3


def test_an_image_without_tokens_is_refused(qwen2):
    with pytest.raises(ObservationError, match=r"Every image needs 1 token or more, got \[3, 0\]"):
        Qwen2Prompt(qwen2)("go", [3, 0])


def test_instructions_that_spell_control_tokens_are_refused(llama, llada, qwen2):
    with pytest.raises(ObservationError, match=r"control token\(s\) \['</s>'\]"):
        OpenVlaPrompt(llama)("stop </s> now")
    with pytest.raises(ObservationError, match=r"control token\(s\) \['<\|eot_id\|>'\]"):
        LladaPrompt(llada)("go<|eot_id|>")
    with pytest.raises(ObservationError, match=r"control token\(s\) \['<\|image_pad\|>'\]"):
        Qwen2Prompt(qwen2)("<|image_pad|>", [1])


def test_the_chat_template_of_a_directory_must_write_the_same(tmp_path, qwen2_folder):
    check_chat_template(qwen2_folder)
    with pytest.raises(CheckpointError, match="no chat_template.json in .* copy it from the base model"):
        check_chat_template(tmp_path)
    for name in ("chat_template.json", "tokenizer_config.json"):
        (tmp_path / name).write_text(json.dumps({"chat_template": QWEN2_TEMPLATE}))
        check_chat_template(tmp_path)
        (tmp_path / name).unlink()
    (tmp_path / "chat_template.jinja").write_text(QWEN2_TEMPLATE)
    check_chat_template(tmp_path)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (QWEN2_TEMPLATE.replace("helpful", "clever"), "the network was trained with"),
        ("{% for %}", "cannot be rendered"),
        ("{{ ''.__class__.__mro__ }}", "cannot be rendered"),
    ],
)
def test_other_and_hostile_chat_templates_are_refused(tmp_path, template, message):
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    with pytest.raises(CheckpointError, match=message):
        check_chat_template(tmp_path)
