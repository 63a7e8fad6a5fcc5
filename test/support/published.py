"""How the small checkpoints of `dvla fresh-checkpoint` are used where a test has no seconds to lose."""

DEPLOYMENTS = {
    "dd_vla": {},
    # A third of the image tokens and few steps: the noise over 32 777 ids per position is what takes the time.
    "ud_vla": {"image_sizes": [[80, 80], [80, 80]], "decoding": {"num_steps": 2, "greedy": True}},
    "dfm_vla": {"system": "dfm_vla", "image_sizes": [[80, 80], [80, 80]]},
    "llada_vla": {},
    "diffusion_vla": {"decoding": {"max_reasoning_tokens": 4}},
}
"""Keys of a deployment file by system."""
