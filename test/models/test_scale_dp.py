"""The transformer head: published names and sizes, adaLN-Zero, and the same numbers as the network written out."""

import math

import pytest
import torch

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.scale_dp import ScaleDP, ScaleDPConfig
from dvla_ros.models.step_waves import dit_waves

ROWS, HORIZON, DIMS, WIDTH, HEADS = 2, 6, 5, 24, 3
SMALL = ScaleDPConfig(
    action_dim=DIMS, state_dim=3, horizon=HORIZON, condition_width=12, depth=2, width=WIDTH, heads=HEADS
)


@pytest.fixture
def fresh():
    torch.manual_seed(0)
    return ScaleDP(SMALL)


@pytest.fixture
def trained(fresh):
    """As after training: nothing is zero any more."""
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return fresh


@pytest.fixture
def inputs():
    draw = torch.Generator().manual_seed(1)
    noisy, pooled = torch.randn(ROWS, HORIZON, DIMS, generator=draw), torch.randn(ROWS, 12, generator=draw)
    return noisy, torch.tensor([90, 3]), pooled, torch.randn(ROWS, 3, generator=draw)


def run(head, noisy, timestep, pooled, state):
    return head(noisy, timestep, head.encode_condition(pooled, state))


class WrittenOut:
    """The transformer for one row of the batch, head by head."""

    def __init__(self, head):
        self.w = head.state_dict()

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def modulated(self, x, shift, scale):
        deviation = (x.var(dim=-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
        return (x - x.mean(dim=-1, keepdim=True)) / deviation * (1 + scale) + shift

    def modulation(self, name, c, parts):
        return self.linear(f"{name}.adaLN_modulation.1", c * torch.sigmoid(c)).split(len(c), dim=-1)[:parts]

    def attention(self, name, x):
        q, k, v = self.linear(f"{name}.qkv", x).split(WIDTH, dim=-1)
        size = WIDTH // HEADS
        mixed = []
        for first in range(0, WIDTH, size):
            part = slice(first, first + size)
            weights = torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(size), dim=-1)
            mixed.append(weights @ v[:, part])
        return self.linear(f"{name}.proj", torch.cat(mixed, dim=-1))

    def feed_forward(self, name, x):
        h = self.linear(f"{name}.fc1", x)
        h = 0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        return self.linear(f"{name}.fc2", h)

    def __call__(self, noisy, timestep, pooled, state):
        told = torch.cat([pooled, state])
        for layer in ("combine.0", "combine.2"):
            told = self.linear(layer, told).clamp_min(0)
        told = self.linear("cond_obs_emb", self.linear("combine.4", told))
        step = self.linear("t_embedder.mlp.0", dit_waves(timestep[None], 256)[0])
        c = self.linear("t_embedder.mlp.2", step * torch.sigmoid(step)) + told
        x = self.linear("x_embedder", noisy) + self.w["pos_embed"][0]
        for name in ("blocks.0", "blocks.1"):
            shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.modulation(name, c, 6)
            x = x + gate * self.attention(f"{name}.attn", self.modulated(x, shift, scale))
            x = x + mlp_gate * self.feed_forward(f"{name}.mlp", self.modulated(x, mlp_shift, mlp_scale))
        shift, scale = self.modulation("final_layer", c, 2)
        return self.linear("final_layer.linear", self.modulated(x, shift, scale))


@torch.no_grad()
def test_the_network_is_the_one_written_out(trained, inputs):
    answer = run(trained, *inputs)
    for row, one in enumerate(zip(*inputs, strict=True)):
        assert torch.allclose(answer[row], WrittenOut(trained)(*one), atol=1e-4)


@torch.no_grad()
def test_a_fresh_head_predicts_no_noise(fresh, trained, inputs):
    assert torch.equal(run(ScaleDP(SMALL), *inputs), torch.zeros(ROWS, HORIZON, DIMS))
    assert run(trained, *inputs).abs().max() > 0.1


@torch.no_grad()
def test_a_fresh_block_is_the_identity(fresh):
    x = torch.randn(ROWS, HORIZON, WIDTH)
    assert torch.equal(fresh.blocks[0](x, torch.randn(ROWS, WIDTH)), x)


def test_gradients_reach_every_parameter(trained, inputs):
    run(trained, *inputs).square().sum().backward()
    assert [name for name, p in trained.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


def test_a_fresh_head_can_start_to_learn(fresh, inputs):
    (run(fresh, *inputs) - 1).square().sum().backward()
    assert fresh.final_layer.linear.bias.grad.abs().max() > 0
    assert fresh.final_layer.linear.weight.grad.abs().max() > 0


@torch.no_grad()
def test_a_head_in_half_precision_runs_in_half_precision(trained, inputs):
    noisy, timestep, pooled, state = inputs
    half = trained.bfloat16()
    assert run(half, noisy.bfloat16(), timestep, pooled.bfloat16(), state).dtype == torch.bfloat16


@torch.no_grad()
def test_the_variant_that_pools_itself_normalises_the_condition(inputs):
    config = ScaleDPConfig(2, 3, horizon=4, condition_width=12, depth=1, width=8, heads=2, norm_after_pool=True)
    head = ScaleDP(config)
    _, _, pooled, state = inputs
    assert torch.allclose(head.encode_condition(pooled, state), head.encode_condition(50 * pooled, state), atol=1e-4)
    assert {"norm_after_pool.weight", "norm_after_pool.bias"} <= set(head.state_dict())


def published(size: str) -> ScaleDP:
    with torch.device("meta"):
        return ScaleDP(ScaleDPConfig.of_size(size, action_dim=14, state_dim=14))


@pytest.mark.parametrize(
    ("size", "depth", "width", "about"), [("ScaleDP_H", 32, 1280, 1e9), ("ScaleDP_L", 24, 1024, 4e8)]
)
def test_the_published_sizes_have_as_many_parameters_as_published(size, depth, width, about):
    def linear(before, after):
        return before * after + after

    block = linear(width, 3 * width) + linear(width, width) + linear(width, 6 * width)
    block += linear(width, 4 * width) + linear(4 * width, width)
    condition = linear(1536 + 14, 1024) + linear(1024, 1024) + linear(1024, 1536) + linear(1536, width)
    step = linear(256, width) + linear(width, width)
    rows = linear(14, width) + 16 * width
    last = linear(width, 2 * width) + linear(width, 14)
    count = sum(parameter.numel() for parameter in published(size).parameters())
    assert count == depth * block + condition + step + rows + last
    assert count == pytest.approx(about, rel=0.2)


def test_the_parameters_have_their_published_names():
    layers = {"combine.0", "combine.2", "combine.4", "x_embedder", "t_embedder.mlp.0", "t_embedder.mlp.2"}
    layers |= {"cond_obs_emb", "final_layer.linear", "final_layer.adaLN_modulation.1"}
    for block in range(24):
        parts = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2", "adaLN_modulation.1")
        layers |= {f"blocks.{block}.{part}" for part in parts}
    expected = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")} | {"pos_embed"}
    assert set(published("ScaleDP_L").state_dict()) == expected


@torch.no_grad()
def test_another_horizon_is_refused(fresh, inputs):
    noisy, timestep, pooled, state = inputs
    with pytest.raises(ConfigurationError, match="made for 6 rows, got 5"):
        run(fresh, noisy[:, :5], timestep, pooled, state)


def test_sizes_that_cannot_be_built_are_refused():
    with pytest.raises(ConfigurationError, match="Unknown size 'ScaleDP_S'"):
        ScaleDPConfig.of_size("ScaleDP_S", action_dim=7, state_dim=7)
    with pytest.raises(ConfigurationError, match="multiple of heads, got 30 and 4"):
        ScaleDPConfig(action_dim=7, state_dim=7, width=30, heads=4)
    with pytest.raises(ConfigurationError, match="depth=0"):
        ScaleDPConfig(action_dim=7, state_dim=7, depth=0)
