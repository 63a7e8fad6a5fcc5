"""UD-VLA (arXiv 2511.01718): the future images and the FAST tokens of the chunk are denoised together."""

from dvla_ros.policies.coding import ActionCoding
from dvla_ros.policies.token_system import TokenSystem

UD_VLA = TokenSystem(
    name="ud_vla",
    coding=ActionCoding("fast", whole_row=True),
    decoding={"decoder": "joint", "num_steps": 24},
    imagines=True,
    begin_token=True,
)
