"""Encoder and decoder networks for 64x64 images. Layer numbers are those of the reference state dicts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn

from models.kernels.fast_ops import ConvStack

IMAGE_SIZE = 64
M = TypeVar("M", bound=nn.Module)


def channels_last(module: M) -> M:
    """The module with its weights in the memory format in which convolutions are fastest."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks this form


class Network(ConvStack):
    """Layers in a row. In training mode they run in the precision that `VAE.set_precision` chose.

    That is float32, or bfloat16 by autocast, with weights and result in float32. What is made of the result, such as
    losses, the algebra, and penalties, knows nothing of it. In evaluation mode everything is in full precision.
    """

    rounded = False  # whether to train in bfloat16

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not (self.rounded and self.training):
            return super().forward(x)
        with torch.autocast(x.device.type, torch.bfloat16):
            return super().forward(x).to(torch.promote_types(x.dtype, torch.float32))


def mlp(*widths: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers of the given widths, activations between them: `[batch, widths[0]] -> [batch, widths[-1]]`."""
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        layers += [nn.Linear(width_in, width_out), activation()]
    return Network(*layers[:-1])


def conv_encoder(channels: int, features: int) -> nn.Sequential:
    """`[batch, channels, 64, 64] -> [batch, features]`: four convolutions to `[batch, 64, 4, 4]`, two linear layers."""
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise((channels, 32, 32, 64, 64)):
        layers += [nn.Conv2d(c_in, c_out, 4, stride=2, padding=1), nn.ReLU()]  # each halves height and width
    return Network(*layers, nn.Flatten(), *mlp(1024, 256, features))


def conv_decoder(features: int, channels: int) -> nn.Sequential:
    """`[batch, features] -> [batch, channels, 64, 64]` logits: `conv_encoder` mirrored."""
    layers = [*mlp(features, 256, 1024), nn.ReLU(), nn.Unflatten(1, (64, 4, 4))]  # [batch, 64, 4, 4]
    for c_in, c_out in pairwise((64, 64, 32, 32, channels)):
        layers += [nn.ConvTranspose2d(c_in, c_out, 4, stride=2, padding=1), nn.ReLU()]  # each doubles both
    return Network(*layers[:-1])


def mlp_encoder(channels: int, features: int, width: int = 1200) -> nn.Sequential:
    """`[batch, channels, 64, 64] -> [batch, features]`: two hidden layers with ReLU."""
    return Network(nn.Flatten(), *mlp(channels * IMAGE_SIZE**2, width, width, features))


def mlp_decoder(features: int, channels: int, width: int = 1200) -> nn.Sequential:
    """`[batch, features] -> [batch, channels, 64, 64]` logits: three hidden layers with tanh."""
    layers = mlp(features, width, width, width, channels * IMAGE_SIZE**2, activation=nn.Tanh)
    return layers.append(nn.Unflatten(1, (channels, IMAGE_SIZE, IMAGE_SIZE)))


# An encoder `[batch, channels, 64, 64] -> [batch, 2 * latents]`, and a decoder `[batch, latents] -> logits`.
NETWORKS = {"conv": (conv_encoder, conv_decoder), "mlp": (mlp_encoder, mlp_decoder)}


def initialise_xavier(module: nn.Module) -> None:
    """Xavier-uniform weights for every linear and convolutional layer of `module`; biases keep torch's default."""
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.xavier_uniform_(layer.weight)
