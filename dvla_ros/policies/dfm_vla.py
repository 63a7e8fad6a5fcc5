"""DFM-VLA (arXiv 2603.26320): FAST tokens that may all change in every step, by discrete flow matching."""

from dvla_ros.policies.coding import ActionCoding
from dvla_ros.policies.token_system import TokenSystem

DFM_VLA = TokenSystem(
    name="dfm_vla",
    coding=ActionCoding("fast", whole_row=True),
    decoding={"decoder": "flow"},
    trained_tokens=False,
)
