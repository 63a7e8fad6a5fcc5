"""The U-Net head: published names and sizes, and the same numbers as the network written out."""

import pytest
import torch
from torch.nn import functional

from dvla_ros.errors import ConfigurationError
from dvla_ros.models.step_waves import unet_waves
from dvla_ros.models.unet1d import ConditionalUnet1D, Unet1DConfig

SMALL = {"state_dim": 3, "condition_width": 12, "down_dims": (64, 128), "step_width": 16}


@pytest.fixture
def head():
    torch.manual_seed(0)
    return ConditionalUnet1D(Unet1DConfig(action_dim=5, **SMALL))


def inputs(rows: int = 2, horizon: int = 8, dims: int = 5):
    draw = torch.Generator().manual_seed(1)
    noisy = torch.randn(rows, horizon, dims, generator=draw)
    return noisy, torch.arange(rows) * 7, torch.randn(rows, 12, generator=draw), torch.randn(rows, 3, generator=draw)


class WrittenOut:
    """The two-level U-Net as a list of operations on the weights."""

    def __init__(self, head):
        self.w = head.state_dict()

    def linear(self, name, x):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def conv(self, name, x, stride=1, padding=0):
        return functional.conv1d(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"], stride, padding)

    def conv_norm_mish(self, name, x):
        x = self.conv(f"{name}.block.0", x, padding=2)
        grouped = x.reshape(len(x), 8, -1)
        deviation = grouped.var(dim=-1, unbiased=False, keepdim=True).add(1e-5).sqrt()
        normed = ((grouped - grouped.mean(dim=-1, keepdim=True)) / deviation).reshape(x.shape)
        y = normed * self.w[f"{name}.block.1.weight"][:, None] + self.w[f"{name}.block.1.bias"][:, None]
        return y * torch.tanh(torch.log1p(y.exp()))

    def block(self, name, x, condition):
        modulation = self.linear(f"{name}.cond_encoder.1", condition * torch.tanh(torch.log1p(condition.exp())))
        half = modulation.shape[1] // 2
        y = modulation[:, :half, None] * self.conv_norm_mish(f"{name}.blocks.0", x) + modulation[:, half:, None]
        residual = self.conv(f"{name}.residual_conv", x) if f"{name}.residual_conv.weight" in self.w else x
        return self.conv_norm_mish(f"{name}.blocks.1", y) + residual

    def __call__(self, noisy, timestep, pooled, state):
        normed = functional.layer_norm(pooled, (12,), self.w["norm_after_pool.weight"], self.w["norm_after_pool.bias"])
        told = self.linear("combine", torch.cat([normed, state], dim=1))
        step = self.linear("diffusion_step_encoder.1", unet_waves(timestep, 16))
        step = self.linear("diffusion_step_encoder.3", functional.mish(step))
        condition = torch.cat([step, told], dim=1)
        x = noisy.transpose(1, 2)
        x = self.block("down_modules.0.1", self.block("down_modules.0.0", x, condition), condition)
        x = self.conv("down_modules.0.2.conv", x, stride=2, padding=1)
        skipped = self.block("down_modules.1.1", self.block("down_modules.1.0", x, condition), condition)
        x = self.block("mid_modules.1", self.block("mid_modules.0", skipped, condition), condition)
        x = self.block("up_modules.0.0", torch.cat([x, skipped], dim=1), condition)
        x = self.block("up_modules.0.1", x, condition)
        weight, bias = self.w["up_modules.0.2.conv.weight"], self.w["up_modules.0.2.conv.bias"]
        x = functional.conv_transpose1d(x, weight, bias, stride=2, padding=1)
        return self.conv("final_conv.1", self.conv_norm_mish("final_conv.0", x)).transpose(1, 2)


@torch.no_grad()
def test_the_network_is_the_one_written_out(head):
    noisy, timestep, pooled, state = inputs()
    expected = WrittenOut(head)(noisy, timestep, pooled, state)
    assert torch.allclose(head(noisy, timestep, head.encode_condition(pooled, state)), expected, atol=1e-4)


@pytest.mark.parametrize(("rows", "horizon", "dims"), [(1, 8, 7), (3, 16, 14), (2, 2, 1)])
@torch.no_grad()
def test_batch_horizon_and_action_width_are_free(rows, horizon, dims):
    head = ConditionalUnet1D(Unet1DConfig(action_dim=dims, **SMALL))
    noisy, timestep, pooled, state = inputs(rows, horizon, dims)
    assert head(noisy, timestep, head.encode_condition(pooled, state)).shape == (rows, horizon, dims)


def test_gradients_reach_every_parameter(head):
    noisy, timestep, pooled, state = inputs()
    head(noisy, timestep, head.encode_condition(pooled, state)).square().sum().backward()
    assert [name for name, p in head.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


@torch.no_grad()
def test_a_head_in_half_precision_runs_in_half_precision(head):
    noisy, timestep, pooled, state = inputs()
    single = head(noisy, timestep, head.encode_condition(pooled, state))
    half = head.bfloat16()
    condition = half.encode_condition(pooled.bfloat16(), state)
    answer = half(noisy.bfloat16(), timestep, condition)
    assert answer.dtype == torch.bfloat16
    assert (answer.float() - single).abs().max() < 0.2


@torch.no_grad()
def test_a_head_without_state_needs_none():
    head = ConditionalUnet1D(Unet1DConfig(action_dim=5, **{**SMALL, "state_dim": 0}))
    noisy, timestep, pooled, _ = inputs()
    assert head(noisy, timestep, head.encode_condition(pooled)).shape == noisy.shape


def published() -> ConditionalUnet1D:
    with torch.device("meta"):
        return ConditionalUnet1D(Unet1DConfig(action_dim=14, state_dim=14))


def residual_block(name: str, changes_channels: bool) -> set[str]:
    layers = [f"{name}.blocks.{i}.block.{j}" for i in (0, 1) for j in (0, 1)] + [f"{name}.cond_encoder.1"]
    return {*layers, *([f"{name}.residual_conv"] if changes_channels else [])}


def test_the_parameters_have_their_published_names():
    layers = {"norm_after_pool", "combine", "diffusion_step_encoder.1", "diffusion_step_encoder.3"}
    layers |= {"final_conv.0.block.0", "final_conv.0.block.1", "final_conv.1"}
    layers |= {"down_modules.0.2.conv", "down_modules.1.2.conv", "up_modules.0.2.conv", "up_modules.1.2.conv"}
    for level in range(3):
        layers |= residual_block(f"down_modules.{level}.0", True) | residual_block(f"down_modules.{level}.1", False)
    for level in range(2):
        layers |= residual_block(f"up_modules.{level}.0", True) | residual_block(f"up_modules.{level}.1", False)
        layers |= residual_block(f"mid_modules.{level}", False)
    assert set(published().state_dict()) == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_the_published_size_has_as_many_parameters_as_its_layers_say():
    def conv(before, after, kernel):
        return before * after * kernel + after

    def block(before, after):
        norms = 2 * 2 * after
        modulation = (256 + 1536) * 2 * after + 2 * after
        residual = conv(before, after, 1) if before != after else 0
        return conv(before, after, 5) + conv(after, after, 5) + norms + modulation + residual

    def pair(before, after):
        return block(before, after) + block(after, after)

    condition = 2 * 1536 + (1536 + 14) * 1536 + 1536
    step = 256 * 1024 + 1024 + 1024 * 256 + 256
    down = pair(14, 256) + pair(256, 512) + pair(512, 1024) + conv(256, 256, 3) + conv(512, 512, 3)
    up = pair(2048, 512) + pair(1024, 256) + conv(512, 512, 4) + conv(256, 256, 4)
    last = conv(256, 256, 5) + 2 * 256 + conv(256, 14, 1)
    expected = condition + step + down + pair(1024, 1024) + up + last
    assert sum(parameter.numel() for parameter in published().parameters()) == expected


@pytest.mark.parametrize("horizon", [1, 7, 9, 0])
def test_a_horizon_that_the_strides_do_not_divide_is_refused(head, horizon):
    noisy, timestep, pooled, state = inputs(horizon=horizon)
    with pytest.raises(ConfigurationError, match=f"multiple of 2, got {horizon}"):
        head(noisy, timestep, head.encode_condition(pooled, state))


def test_each_level_but_the_last_doubles_what_the_horizon_must_be_a_multiple_of():
    config = Unet1DConfig(action_dim=14, state_dim=14)
    config.check_horizon(16)
    with pytest.raises(ConfigurationError, match="multiple of 4, got 10"):
        config.check_horizon(10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"down_dims": (64, 100)}, r"multiples of groups=8, got \(64, 100\)"),
        ({"down_dims": ()}, r"got \(\)"),
        ({"kernel_size": 4}, "kernel_size must be odd, got 4"),
        ({"state_dim": -1}, "state_dim=-1"),
        ({"step_width": 15}, "got 15"),
    ],
)
def test_sizes_that_cannot_be_built_are_refused(change, message):
    with pytest.raises(ConfigurationError, match=message):
        Unet1DConfig(action_dim=5, **{**SMALL, **change})
