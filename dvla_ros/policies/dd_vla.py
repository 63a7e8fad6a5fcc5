"""Discrete Diffusion VLA (arXiv 2508.20072): 256 bins a number, masked tokens decoded easy-first.

The decoder's defaults are not the released ones: an expert on target asks for exactly zero, so one bin holds a spike
while a wanted movement is spread over many. Arg-max, and ranking by the probability of the sampled token, favour the
spike, and on half-trained weights the arm stops. Ranking by the likeliest token does not look at what was sampled.
"""

from dvla_ros.policies.coding import ActionCoding
from dvla_ros.policies.token_system import TokenSystem

DD_VLA = TokenSystem(
    name="dd_vla",
    coding=ActionCoding("bins", 256),
    decoding={
        "decoder": "masked",
        "num_steps": 12,
        "order": "max_confidence",
        "value_temperature": 0.7,
        "choice_temperature": 0.0,
    },
)
