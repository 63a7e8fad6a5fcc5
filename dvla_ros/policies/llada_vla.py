"""LLaDA-VLA (arXiv 2509.06932): 32 intervals a number, chunks of five actions, decoded action by action."""

from dvla_ros.policies.coding import ActionCoding
from dvla_ros.policies.token_system import TokenSystem

LLADA_VLA = TokenSystem(
    name="llada_vla",
    coding=ActionCoding("intervals", 32, whole_row=True, binary_columns=(6,)),
    decoding={"decoder": "hierarchical"},
    horizon=5,
)
