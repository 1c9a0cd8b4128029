"""The fused convolution stacks are the layers that they stand for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

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
@pytest.mark.parametrize("channels", [1, 3])
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
def test_checkpointing_changes_no_gradient(name):
    network, x = networks(1)[name]
    (expected,) = torch.autograd.grad(network(x).sum(), x)
    (got,) = torch.autograd.grad(checkpoint(network, x, use_reentrant=False).sum(), x)
    assert torch.equal(got, expected)


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_no_image_gives_no_result_and_no_gradient(name):
    network, x = networks(1)[name]
    y = network(x[:0])
    assert y.shape == (0, *network(x).shape[1:])
    y.sum().backward()
    assert not any(parameter.grad.any() for parameter in network.parameters())


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


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_evaluation_keeps_nothing_for_a_derivative_and_gives_the_same(name):
    network, x = networks(1)[name]
    with torch.no_grad():
        y = network(x)
    assert y.grad_fn is None
    torch.testing.assert_close(y, network(x).detach(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_in_bfloat16_they_are_as_exact_as_the_layers_one_by_one(name, channels, monkeypatch):
    """Distance to float64, of values and gradients: ReLUs whose input is almost 0 make up most of it. One rounding of a
    piece's sum, at most 1/256, comes on top."""
    monkeypatch.setattr(fast_ops, "PIECE", 1)  # two images a piece
    network, x = networks(channels, torch.float32)[name]
    with torch.autocast("cpu", torch.bfloat16):
        got, plain = (value_and_gradients(net, x) for net in (network, nn.Sequential(*network)))
    exact = value_and_gradients(nn.Sequential(*network).double(), x.double())
    for a, b, c in zip(got, plain, exact, strict=True):
        assert (a - c).norm() <= 1.5 * (b - c).norm() + c.norm() / 256
        assert (b - c).norm() < 0.2 * c.norm()
    assert {gradient.dtype for gradient in got[1:]} == {torch.float32}


def test_sums_over_pieces_are_kept_in_float32():
    """In bfloat16 a sum of 600 ones would stop at 256: the bias's gradient of 600 pieces."""
    size = fast_ops.piece_size(torch.bfloat16)
    network = fast_ops.ConvStack(nn.Conv2d(2, 3, 4, stride=2, padding=1))
    with torch.autocast("cpu", torch.bfloat16):
        pieces = network(torch.zeros(600 * size, 2, 2, 2))
    pieces[::size].sum().backward()
    assert torch.equal(network[0].bias.grad, torch.full((3,), 600.0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("c", [1, 3, 4, 32, 33])
def test_on_small_integers_the_operations_are_exact(c, dtype):
    """Sums of a few hundred products of -1, 0 and 1 have no rounding in either type, in whatever order."""
    generator = torch.Generator().manual_seed(c)
    shapes = {"x": (2, c, 8, 12), "y": (2, 5, 4, 6), "weight": (5, c, 4, 4), "of_k": (5,), "of_c": (c,)}
    exact = {name: torch.randint(-1, 2, shape, generator=generator).double() for name, shape in shapes.items()}
    x, y, weight, of_k, of_c = (value.to(dtype) for value in exact.values())
    x, y = (value.contiguous(memory_format=torch.channels_last) for value in (x, y))
    layer = {"stride": 2, "padding": 1}
    smaller = F.conv2d(exact["x"], exact["weight"], exact["of_k"], **layer)
    larger = F.conv_transpose2d(exact["y"], exact["weight"], exact["of_c"], **layer)
    of_weight = torch.nn.grad.conv2d_weight(exact["x"], weight.shape, exact["y"], **layer)
    for value in (smaller, larger, of_weight):
        assert value.abs().max() <= 256  # the integers that bfloat16 holds
    assert torch.equal(fast_ops.down(fast_ops.operand(x), weight, of_k).double(), smaller)
    assert torch.equal(fast_ops.up(y, weight, of_c).double(), larger)
    assert torch.equal(fast_ops.weight_gradient(fast_ops.operand(x), y).double(), of_weight)


@pytest.mark.parametrize("sign", [1, -1])
def test_rectifying_integers_is_relu(sign):
    values = [0.0, 1e-40, 1.0, 3e38, float("inf"), float("nan")]
    x = torch.tensor([sign * value for value in values], dtype=torch.bfloat16)
    y = x.relu()
    assert torch.equal(fast_ops.rectify(x.clone())[:-1], y[:-1]) and fast_ops.rectify(x)[-1].isnan()
    g = torch.arange(1, 7, dtype=torch.bfloat16)
    got = fast_ops.rectify_gradient(g, y, torch.empty_like(g))[:-1]
    assert torch.equal(got, torch.where(y > 0, g, 0)[:-1])


def test_other_precisions_and_transforms_take_the_plain_layers():
    network, x = networks(1, torch.float32)["decoder"]
    assert fast_ops.can_fuse(x) and fast_ops.can_fuse(x.double())
    assert not fast_ops.can_fuse(x.bfloat16())
    assert not fast_ops.can_fuse(x.to("meta"))
    with torch.autocast("cpu", torch.float16):
        assert not fast_ops.can_fuse(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert not fast_ops.can_fuse(x.double())
    by_transform = torch.func.grad(lambda codes: network(codes).sum())(x.detach())
    torch.testing.assert_close(by_transform, torch.autograd.grad(network(x).sum(), x)[0], rtol=1e-4, atol=1e-5)


LAYERS = {
    "conv": lambda c: nn.Conv2d(c, c + 1, 4, stride=2, padding=1),
    "transposed": lambda c: nn.ConvTranspose2d(c, c + 1, 4, stride=2, padding=1),
    "without bias": lambda c: nn.Conv2d(c, c, 4, stride=2, padding=1, bias=False),
    "kernel 3": lambda c: nn.Conv2d(c, c, 3, padding=1),
    "stride 1": lambda c: nn.ConvTranspose2d(c, c, 4, padding=1),
    "dilated": lambda c: nn.Conv2d(c, c, 4, stride=2, padding=1, dilation=2),
    "grouped": lambda c: nn.Conv2d(c, c, 4, stride=2, padding=1, groups=c),
    "reflecting": lambda c: nn.Conv2d(c, c, 4, stride=2, padding=1, padding_mode="reflect"),
    "output padded": lambda c: nn.ConvTranspose2d(c, c, 4, stride=2, padding=1, output_padding=1),
    "relu": lambda c: nn.ReLU(),
    "relu in place": lambda c: nn.ReLU(inplace=True),
    "leaky": lambda c: nn.LeakyReLU(0.2),
    "batch norm": lambda c: nn.BatchNorm2d(c),
    "dropout": lambda c: nn.Dropout(1.0),  # its mask follows the order in memory, which may differ: all or nothing
    "weight norm": lambda c: nn.utils.parametrizations.weight_norm(nn.Conv2d(c, c, 4, stride=2, padding=1)),
    "nested": lambda c: nn.Sequential(nn.Conv2d(c, c, 4, stride=2, padding=1), nn.ReLU()),
}
GROWS = ("conv", "transposed")


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(
        st.one_of(st.sampled_from(("conv", "transposed", "relu")), st.sampled_from(list(LAYERS))), max_size=7
    ),
    channels=st.integers(1, 3),
    size=st.sampled_from([(32, 32), (36, 28), (33, 40)]),
    training=st.booleans(),
)
@example(kinds=["conv", "dropout", "relu in place"], channels=1, size=(32, 32), training=False)  # overwrites the result
def test_any_stack_of_layers_is_their_sequence(kinds, channels, size, training):
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    c = channels
    for kind in kinds:
        layers.append(LAYERS[kind](c))
        c += kind in GROWS
    plain = nn.Sequential(*layers).double().train(training)
    stack = fast_ops.ConvStack(*layers).double().train(training)
    x = torch.randn(3, channels, *size, dtype=torch.float64, requires_grad=True)

    def outcome(network: nn.Sequential) -> list[torch.Tensor] | str:
        try:
            y = network(x * 1)
            # The layers of a stack that failed have no gradient; unused x has none either.
            wanted = [x, *network.parameters()]
            return [y.detach(), *torch.autograd.grad(y.sin().sum(), wanted, materialize_grads=True)]
        except RuntimeError as error:
            return type(error).__name__

    expected, got = outcome(plain), outcome(stack)
    if isinstance(expected, str):  # the image became too small
        assert got == expected
    else:
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-6)


def test_hooks_of_layers_run():
    network, x = networks(1)["encoder"]
    seen = []
    handle = network[2].register_forward_hook(lambda layer, inputs, output: seen.append(output) or output * 2)
    got, expected = network(x), nn.Sequential(*network)(x)
    assert len(seen) == 2
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-11)
    handle.remove()
    assert len(seen) == 2 and not torch.allclose(network(x), got)


def test_the_networks_of_the_models_are_fused_whole():
    """One group holds all convolutions: otherwise the published models would lose their speed without a word."""
    for network in (conv_encoder(1, 7), conv_decoder(9, 1)):
        groups = [group for group in fast_ops.runs(list(network)) if fast_ops.fits(group[0])]
        assert [sum(map(fast_ops.fits, group)) for group in groups] == [4]


def test_second_derivatives_are_refused():
    network, x = networks(1)["encoder"]
    (slope,) = torch.autograd.grad(network(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
