"""The matrix exponential of many small matrices on a CPU, with a derivative that costs two products a product.

`torch.matrix_exp` differentiates by the exponential of a matrix of twice the size, and handles few matrices at a time;
for a batch of 10x10 matrices that is several times slower. Here, scaling and squaring of the Taylor polynomial of
degree 9 in four products (Paterson & Stockmeyer 1973), and autograd goes back through the products.

Error. Let B = A / 2^s with |B| <= THETA = 1/2 in the 1-norm. The remainder R = e^B - T(B) is bounded by
rho = THETA^10 / 10! / (1 - THETA / 11) = 2.9e-10. All these matrices commute: T(B)^(2^s) = e^A (I - e^-B R)^(2^s), and
the relative error from cutting the series is at most (1 + e^THETA rho)^(2^s) - 1, about 4.7e-10 * 2^s: whatever s, less
than a hundredth of what rounding in float32 may do in s squarings, 2^s * 6e-8.
"""

from __future__ import annotations

import math

import torch

THETA = 0.5
TAYLOR = [1 / math.factorial(k) for k in range(10)]


def matrix_exp(a: torch.Tensor) -> torch.Tensor:
    """`exp(a)` of each matrix, `[..., m, m] -> [..., m, m]`.

    In float32 on a CPU by the scheme above, the number of squarings being that of the matrix of largest norm. Elsewhere
    by `torch.matrix_exp`: in float64 degree 9 is too low, and on a GPU the norm would have to be waited for.
    """
    if a.device.type != "cpu" or a.dtype != torch.float32 or a.numel() == 0 or torch.compiler.is_compiling():
        return torch.matrix_exp(a)
    norm = a.detach().abs().sum(dim=-2).max().item()  # the largest 1-norm
    if not math.isfinite(norm):
        return torch.matrix_exp(a)
    squarings = max(0, math.ceil(math.log2(norm / THETA))) if norm > 0 else 0
    b = a * 2.0**-squarings if squarings else a  # [..., m, m]
    power = _taylor(b)
    for _ in range(squarings):
        power = power @ power  # [..., m, m]
    return power


def _taylor(b: torch.Tensor) -> torch.Tensor:
    """The Taylor polynomial of degree 9: `(t0 + t1 b + t2 b^2) + b^3 ((t3 + ...) + b^3 (t6 + ... + t9 b^3))`."""
    identity = torch.eye(b.shape[-1], dtype=b.dtype, device=b.device)  # [m, m]
    b2 = b @ b  # [..., m, m]
    b3 = b2 @ b  # [..., m, m]
    t = TAYLOR
    last = t[6] * identity + t[7] * b + t[8] * b2 + t[9] * b3  # [..., m, m]
    middle = t[3] * identity + t[4] * b + t[5] * b2 + b3 @ last  # [..., m, m]
    return identity + b + t[2] * b2 + b3 @ middle  # [..., m, m]
