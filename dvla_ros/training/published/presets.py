"""The published hyper-parameters of every system; section numbers are those of the field's reference notes.

What no publication says is our choice and is named in `Preset.ours`.
"""

from dataclasses import replace

from dvla_ros.errors import ConfigurationError
from dvla_ros.training.published.low_rank import LowRankConfig
from dvla_ros.training.published.preset import Preset

_TRUNK = r"trunk\.layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"
_DECODING_SIDE = ("ema", "checkpointing", "micro_batch", "loss", "objective")

PRISMATIC_ALL_LINEAR = (
    rf"model\.(language_model\.({_TRUNK}|lm_head)|projector\.fc\d"
    r"|vision_backbone\.\w+\.(patch_embed\.proj|blocks\.\d+\.[\w.]*(_proj|fc\d)))"
)
"""PEFT's `all-linear`: every layer that multiplies, the convolution of the patches and the head among them."""

_DD_VLA = Preset(
    name="dd_vla",
    system="dd_vla",
    source="Discrete Diffusion VLA's finetune.py and arXiv 2508.20072 (1.5, 1.8, 1.10)",
    learning_rate=5e-4,
    schedule="steps",
    drop_after=100_000,
    steps=320_005,
    batch_size=32,
    micro_batch=8,
    low_rank=LowRankConfig(32, 16, targets=PRISMATIC_ALL_LINEAR, whole=r"projector\..*"),
    loss="published",
    objective=("masks=1", "neighbours=0", "expectation=0", "average=tokens"),
    clip=None,
    ours=("weight_decay", "betas", "epsilon", "clip", "ema", "checkpointing", "warmup_steps"),
)

_EMU3 = Preset(
    name="ud_vla",
    system="ud_vla",
    source="Unified-Diffusion-VLA's scripts and arXiv 2511.01718 (2.5)",
    learning_rate=8e-5,
    schedule="cosine",
    least_learning_rate=5e-6,
    warmup_steps=50,
    steps=24_000,
    batch_size=64,
    micro_batch=4,
    weight_decay=0.1,
    betas=(0.9, 0.95),
    epsilon=1e-6,
    clip=5.0,
    drop_instruction=0.15,
    objective=("stage=joint", "vision_weight=0.5", "least_ratio=0.1", "clean_images=0.75"),
    ours=("ema", "checkpointing"),
)
_EMU3_LOW_RANK = LowRankConfig(64, 64, targets=rf"model\.({_TRUNK}|lm_head)", rows="model.embed_tokens")
_OUR_LOW_RANK = ("low_rank", "learning_rate", "batch_size", "micro_batch")

_DFM_VLA = replace(
    _EMU3,
    name="dfm_vla",
    system="dfm_vla",
    source="arXiv 2603.26320 (4.2)",
    least_learning_rate=0.0,
    steps=20_000,
    batch_size=256,
    drop_instruction=0.0,
    objective=("draws=1",),
    frozen=r"model\.embed_tokens\..*",  # its distances are the path that is learned, and that is decoded along
    ours=(*_DECODING_SIDE, "least_learning_rate", "drop_instruction", "frozen"),
)

_LLADA_VLA = Preset(
    name="llada_vla",
    system="llada_vla",
    source="arXiv 2509.06932 (3.2)",
    learning_rate=2e-5,
    schedule="cosine",
    epochs=3,
    batch_size=128,
    micro_batch=8,
    objective=("masks=1", "neighbours=0"),
    ours=(
        *_DECODING_SIDE,
        "schedule",
        "least_learning_rate",
        "warmup_steps",
        "weight_decay",
        "betas",
        "epsilon",
        "clip",
    ),
)

_DIFFUSION_VLA = Preset(
    name="diffusion_vla",
    system="diffusion_vla",
    source="DexVLA's train_dexvla_stage2.sh and arXiv 2412.03293 (5.5, 5.7)",
    learning_rate=2e-5,
    head_learning_rate=2e-4,
    schedule="cosine",
    steps=60_000,
    batch_size=96,
    micro_batch=12,
    low_rank=LowRankConfig(
        64,
        256,
        0.05,
        targets=rf"model\.backbone\.(language\.{_TRUNK}|visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.fc\d))",
        whole=r"model\.(film|policy_head)\..*",
    ),
    objective=("draws=1", "reasoning=1"),
    ours=("ema", "checkpointing", "schedule", "warmup_steps", "weight_decay", "betas", "epsilon", "clip"),
)


def _with_adapter(preset: Preset, low_rank: LowRankConfig) -> Preset:
    """Our way to train on one device what was published as full fine-tuning on several."""
    return replace(
        preset,
        name=f"{preset.name}_lora",
        source=f"{preset.source}; the adapter is ours",
        learning_rate=2e-4,
        low_rank=low_rank,
        batch_size=32,
        micro_batch=4,
        ours=tuple(dict.fromkeys((*preset.ours, *_OUR_LOW_RANK))),
    )


def _in_full(preset: Preset, frozen: str = "") -> Preset:
    return replace(
        preset,
        name=f"{preset.name}_full",
        source=f"{preset.source}; full fine-tuning is ours",
        learning_rate=2e-5,
        low_rank=None,
        frozen=frozen,
        ours=tuple(dict.fromkeys((*preset.ours, "low_rank", "learning_rate"))),
    )


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        _DD_VLA,
        _in_full(_DD_VLA),
        _EMU3,
        replace(
            _EMU3,
            name="ud_vla_world_model",
            source="UniVLA's post-training, from Emu3 (2.5)",
            steps=30_000,
            objective=("stage=world_model", "vision_weight=1"),
        ),
        _with_adapter(_EMU3, _EMU3_LOW_RANK),
        _DFM_VLA,
        _with_adapter(_DFM_VLA, replace(_EMU3_LOW_RANK, rows="")),
        _LLADA_VLA,
        _with_adapter(
            _LLADA_VLA,
            LowRankConfig(
                64,
                64,
                targets=rf"model\.language_model\.({_TRUNK}|lm_head)",
                whole=r"model\.mm_projector\..*",
                rows="model.language_model.embed_tokens",
            ),
        ),
        _DIFFUSION_VLA,
        _in_full(_DIFFUSION_VLA),
    )
}
"""By name: that of the system is as published, `_lora` and `_full` are the other way of training."""


def preset_named(name: str) -> Preset:
    """One of `PRESETS`.

    Raises:
        ConfigurationError: There is none of this name.
    """
    if name not in PRESETS:
        raise ConfigurationError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
