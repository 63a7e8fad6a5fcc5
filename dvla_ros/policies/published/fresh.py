"""Writers of published checkpoints with random weights, by system."""

from collections.abc import Callable
from functools import partial
from typing import Any

from dvla_ros.policies.published.fresh_emu3 import write_fresh_emu3
from dvla_ros.policies.published.fresh_llada_v import write_fresh_llada_v
from dvla_ros.policies.published.fresh_prismatic import write_fresh_prismatic
from dvla_ros.policies.published.fresh_qwen2_vl import write_fresh_qwen2_vl

WRITERS: dict[str, Callable[..., Any]] = {
    "dd_vla": write_fresh_prismatic,
    "ud_vla": partial(write_fresh_emu3, system="ud_vla"),
    "dfm_vla": partial(write_fresh_emu3, system="dfm_vla"),
    "llada_vla": write_fresh_llada_v,
    "diffusion_vla": write_fresh_qwen2_vl,
}
"""Each takes the folder, `size` (small or true), `seed`, and `weights`: False leaves holes in place of the main."""
