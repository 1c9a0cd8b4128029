"""The matrix exponential of many small matrices, with a derivative that costs two products a product.

`torch.matrix_exp` differentiates by the exponential of a matrix of twice the size, handles few matrices at a time and
waits for a GPU. Here: scaling, the Taylor polynomial of degree 9 in four products (Paterson & Stockmeyer 1973), and
squaring. Autograd goes back through the products.

What is squared is not e^B but X = e^B - I, by `e^2B - I = 2 X + X X`. A small X keeps all its digits, which are lost
beside the ones of the identity: matrices may be scaled down more than they need, by a number of squarings that is
known beforehand, and at |A| = 20 the error is a half to a twentieth of that of squaring e^B. In return, directions that
e^A shrinks to almost nothing are known to an absolute error, not to a relative one.

Error. Let B = A / 2^s with |B| <= THETA = 1/2 in the 1-norm. The remainder R = e^B - T(B) is bounded by
rho = THETA^10 / 10! / (1 - THETA / 11) = 2.9e-10. All these matrices commute: T(B)^(2^s) = e^A (I - e^-B R)^(2^s), and
the relative error from cutting the series is at most (1 + e^THETA rho)^(2^s) - 1, about 4.7e-10 * 2^s, less than a
hundredth of 2^s units of rounding in float32. Rounding adds a few units times max(1, |A|) max(1, |e^A|): measured
against float64 in the tests, for |A| from 1e-4 to 20.
"""

from __future__ import annotations

import math

import torch

THETA = 0.5
TAYLOR = [1 / math.factorial(k) for k in range(10)]
SQUARINGS = 8  # where the norm is not looked at
LARGEST_NORM = THETA * 2**SQUARINGS  # there; e^128 is beyond float32


def matrix_exp(a: torch.Tensor) -> torch.Tensor:
    """`exp(a)` of each matrix, `[..., m, m] -> [..., m, m]`.

    In float32 by the scheme above. On a CPU, and wherever no gradient is wanted, the number of squarings is that of the
    matrix of largest norm. In a training step elsewhere, reading the norm would mean to wait, and a recorded step
    cannot read: there are always SQUARINGS, and matrices with a norm above LARGEST_NORM give nan. In float64, for which
    degree 9 is too low, by `torch.matrix_exp`.
    """
    if a.dtype != torch.float32 or a.numel() == 0:
        return torch.matrix_exp(a)
    norms = a.detach().abs().sum(dim=-2).amax(dim=-1)  # [...], 1-norms
    if _can_wait(a):
        return _scaled_and_squared(a, _squarings(norms.max().item()))
    exact = (norms <= LARGEST_NORM)[..., None, None]  # [..., 1, 1]
    return _scaled_and_squared(torch.where(exact, a, math.nan), SQUARINGS)


def _can_wait(a: torch.Tensor) -> bool:
    """Whether a number may be read from `a`: at no cost on a CPU; outside training at the cost of a wait."""
    return (a.device.type == "cpu" or not torch.is_grad_enabled()) and not torch.compiler.is_compiling()


def _squarings(norm: float) -> int:
    """How often a matrix of this norm is halved to come below THETA. None for nan and inf, which give nan anyway."""
    return max(0, math.ceil(math.log2(norm / THETA))) if 0 < norm < math.inf else 0


def _scaled_and_squared(a: torch.Tensor, squarings: int) -> torch.Tensor:
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)  # [m, m]
    b = a.flatten(0, -3) if a.dim() > 2 else a[None]  # [n, m, m]
    x = _taylor(b * 2.0**-squarings if squarings else b, identity)  # [n, m, m]
    for _ in range(squarings):
        x = torch.baddbmm(x, x, x, beta=2)  # [n, m, m]
    return (x + identity).view(a.shape)


def _taylor(b: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
    """`e^b - I` to degree 9: `(t1 b + t2 b^2) + b^3 ((t3 + t4 b + t5 b^2) + b^3 (t6 + ... + t9 b^3))`."""
    b2 = b @ b  # [n, m, m]
    b3 = b2 @ b  # [n, m, m]
    t = TAYLOR
    last = t[6] * identity + t[7] * b + t[8] * b2 + t[9] * b3  # [n, m, m]
    middle = t[3] * identity + t[4] * b + t[5] * b2 + b3 @ last  # [n, m, m]
    return b + t[2] * b2 + b3 @ middle  # [n, m, m]
