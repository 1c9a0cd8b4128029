"""The fused convolution stacks are the layers that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.kernels import fast_ops
from models.networks import conv_decoder, conv_encoder


def networks(channels: int, dtype: torch.dtype = torch.float64) -> dict[str, tuple[nn.Sequential, torch.Tensor]]:
    """Encoder and decoder with an input of five images or codes that wants a gradient."""
    torch.manual_seed(channels)
    images, codes = torch.rand(5, channels, 64, 64, dtype=dtype), torch.randn(5, 9, dtype=dtype)
    return {
        "encoder": (conv_encoder(channels, 7).to(dtype), images.requires_grad_()),
        "decoder": (conv_decoder(9, channels).to(dtype), codes.requires_grad_()),
    }


def value_and_gradients(network: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    y = network(x)
    weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
    return [y.detach(), *torch.autograd.grad((y * weights).sum() + y.square().sum(), [x, *network.parameters()])]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_values_and_gradients_are_those_of_the_layers_one_by_one(name, channels, memory_format, monkeypatch):
    monkeypatch.setattr(fast_ops, "PIECE", 2)  # pieces of 2, 2 and 1 images
    network, x = networks(channels)[name]
    network.to(memory_format=memory_format)
    got = value_and_gradients(network, x)
    assert isinstance(network, fast_ops.ConvStack)
    expected = value_and_gradients(nn.Sequential(*network), x)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_step_repeats_to_the_bit(name):
    network, x = networks(1, torch.float32)[name]
    for a, b in zip(value_and_gradients(network, x), value_and_gradients(network, x), strict=True):
        assert torch.equal(a, b)


def test_the_gradient_that_comes_from_outside_is_left_as_it_is():
    network, x = networks(1)["encoder"]
    convolutions = fast_ops.ConvStack(*list(network)[:8])
    y = convolutions(x)
    grad = torch.randn_like(y)
    before = grad.clone()
    y.backward(grad)
    assert torch.equal(grad, before)


def test_evaluation_keeps_nothing_for_a_derivative():
    network, x = networks(1)["decoder"]
    with torch.no_grad():
        assert network(x).grad_fn is None


def test_other_precisions_and_transforms_take_the_plain_layers():
    network, x = networks(1, torch.float32)["decoder"]
    assert fast_ops.fused(x)
    assert not fast_ops.fused(x.bfloat16())
    assert not fast_ops.fused(x.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not fast_ops.fused(x)
    by_transform = torch.func.grad(lambda codes: network(codes).sum())(x.detach())
    torch.testing.assert_close(by_transform, torch.autograd.grad(network(x).sum(), x)[0], rtol=1e-4, atol=1e-5)
