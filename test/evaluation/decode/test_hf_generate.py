"""The baseline of a reasoning says the same words."""

import torch

from dvla_ros.evaluation.decode.hf_generate import hf_generate
from dvla_ros.evaluation.decode.made_up import made_up_observation
from dvla_ros.evaluation.decode.random_weights import fresh_layout, open_layout
from dvla_ros.policies.published.deployment import Deployment


@torch.no_grad()
def test_generate_with_our_weights_says_what_we_say():
    with fresh_layout("diffusion_vla", "small") as folder:
        policy = open_layout(folder, Deployment(), torch.device("cpu"), torch.float32, draw=False)
        network = policy.network
        inputs = network.prepare(made_up_observation(policy.spec))
        said = network.reason(network.prefill(inputs), 5, lambda: False)
        theirs = hf_generate(folder, network.model.backbone, inputs.question, len(said.tokens), repeats=2)
    assert theirs.tokens.tolist() == said.tokens.tolist()
    assert len(theirs.seconds) == 2
