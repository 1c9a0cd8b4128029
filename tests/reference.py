"""The inputs of the reference values, rebuilt from their rules (see tests/data/reference/README.md)."""

from __future__ import annotations

import functools
import zlib

import numpy as np
import torch


def fill_parameters(module: torch.nn.Module, basis_std: float = 0.05, prefix: str = "") -> None:
    """Set every parameter to the value that its reference name defines."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.copy_(torch.from_numpy(parameter_value(prefix + name, tuple(parameter.shape), basis_std)))


@functools.cache  # models share names and shapes
def parameter_value(name: str, shape: tuple[int, ...], basis_std: float = 0.05) -> np.ndarray:
    if name.endswith("bias"):
        std = 0.01
    elif "lie_alg_basis" in name:
        std = basis_std
    elif len(shape) == 4 and ("post_exp" in name or name.startswith("decoder")):
        std = np.sqrt(2.5 / (shape[0] * 4))
    elif len(shape) == 4:
        std = np.sqrt(2.5 / (shape[1] * 16))
    else:
        std = np.sqrt(2.5 / shape[1])
    stream = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
    return (stream.standard_normal(shape) * std).astype(np.float32)


def images(batch: int, channels: int, seed: int) -> torch.Tensor:
    """Random rectangles, float32 `[batch, channels, 64, 64]` in [0, 1]."""
    stream = np.random.RandomState(seed)
    x = np.zeros((batch, channels, 64, 64), np.float32)
    for image in x:
        height, width = stream.randint(8, 24, 2)
        row, column = stream.randint(0, 40, 2)
        colour = 1.0 if channels == 1 else stream.rand(channels, 1, 1)
        image[:, row : row + height, column : column + width] = colour
    return torch.from_numpy(x)


def eps(batch: int, latents: int, seed: int) -> torch.Tensor:
    """Standard normal noise, float32 `[batch, latents]`."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal((batch, latents)).astype(np.float32))


def assert_summary(tensor: torch.Tensor, expected: dict, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Compare `{mean, std, first}` in float64."""
    values = tensor.detach().double().flatten()
    np.testing.assert_allclose(values.mean().item(), expected["mean"], rtol=rtol, atol=atol)
    np.testing.assert_allclose(values.std().item(), expected["std"], rtol=rtol, atol=atol)
    np.testing.assert_allclose(values[:6].numpy(), expected["first"], rtol=rtol, atol=atol)
