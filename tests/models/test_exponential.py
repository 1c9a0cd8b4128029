"""The fast exponential is the exponential, and its derivative the derivative."""

from __future__ import annotations

import math

import pytest
import torch

from models.exponential import THETA, matrix_exp

UNIT = 2.0**-24  # of rounding in float32


def matrices(norm: float, m: int, count: int = 16) -> torch.Tensor:
    """float32 `[count, m, m]`, all of this 1-norm."""
    a = torch.randn(count, m, m, generator=torch.Generator().manual_seed(m))
    return a * (norm / a.abs().sum(dim=-2).amax(dim=-1))[:, None, None]


def norms(a: torch.Tensor) -> torch.Tensor:
    return a.abs().sum(dim=-2).amax(dim=-1)  # 1-norms


@pytest.mark.parametrize("m", [1, 4, 10, 20, 40])
@pytest.mark.parametrize("norm", [1e-4, 1e-2, 0.5, 1.0, 5.0, 20.0])
def test_error_stays_within_what_rounding_allows(norm, m):
    a = matrices(norm, m)
    exact = torch.matrix_exp(a.double())
    relative = (norms(matrix_exp(a).double() - exact) / norms(exact)).max().item()
    squarings = max(0, math.ceil(math.log2(norm / THETA)))
    condition = math.exp(min(2 * norm, 2))  # |e^B| |e^-B| of the scaled matrix
    assert relative <= 4 * math.sqrt(m) * UNIT * 2**squarings * condition


@pytest.mark.parametrize("m", [1, 4, 10, 20, 40])
@pytest.mark.parametrize("norm", [1e-4, 1e-2, 0.5, 1.0, 5.0, 20.0])
def test_gradient_is_that_of_float64(norm, m):
    a = matrices(norm, m).requires_grad_()
    exact = a.detach().double().requires_grad_()
    weights = torch.randn(a.shape, generator=torch.Generator().manual_seed(1))
    (matrix_exp(a) * weights).sum().backward()
    (torch.matrix_exp(exact) * weights.double()).sum().backward()
    relative = (norms(a.grad.double() - exact.grad) / norms(exact.grad)).max().item()
    assert relative <= 1e-6 * max(1, 4 * norm)


def test_truncation_alone_is_below_rounding_for_any_number_of_squarings():
    rho = THETA**10 / math.factorial(10) / (1 - THETA / 11)
    scalar = sum(THETA**k / math.factorial(k) for k in range(10))
    assert 0 < math.exp(THETA) - scalar <= rho
    for squarings in range(12):
        assert math.expm1(2**squarings * math.log1p(math.exp(THETA) * rho)) < 0.01 * 2**squarings * UNIT


def test_float64_zero_empty_and_non_finite():
    a = matrices(3.0, 5).double()
    assert torch.equal(matrix_exp(a), torch.matrix_exp(a))
    assert torch.equal(matrix_exp(torch.zeros(2, 3, 3)), torch.eye(3).expand(2, 3, 3))
    assert matrix_exp(torch.zeros(0, 3, 3)).shape == (0, 3, 3)
    assert not torch.isfinite(matrix_exp(torch.full((1, 2, 2), float("nan")))).any()
