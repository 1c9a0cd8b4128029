"""The matrix exponential of many small matrices, with a derivative that costs two products a product.

`torch.matrix_exp` differentiates by the exponential of a matrix of twice the size, handles few matrices at a time and
waits for a GPU. Here: scaling, a Taylor polynomial (Paterson & Stockmeyer 1973) of degree 9 in four products for
float32, of degree 15 in six for float64, and squaring. Autograd goes back through the products.

What is squared is not e^B but X = e^B - I, by `e^2B - I = 2 X + X X`. A small X keeps all its digits, which are lost
beside the ones of the identity: matrices may be scaled down more than they need, and at |A| = 20 the error is a half to
a twentieth of that of squaring e^B. In return, directions that e^A shrinks to almost nothing are known to an absolute
error, not to a relative one.

Error. Let B = A / 2^s with |B| <= THETA = 1/2 in the 1-norm. The remainder R = e^B - T(B) of degree d is bounded by
rho = THETA^(d+1) / (d+1)! / (1 - THETA / (d+2)): 2.9e-10 for d = 9, 7.5e-19 for d = 15. All these matrices commute:
T(B)^(2^s) = e^A (I - e^-B R)^(2^s), and the relative error from cutting the series is at most
(1 + e^THETA rho)^(2^s) - 1, less than a fiftieth of 2^s units of rounding in either dtype. Rounding adds a few units
times max(1, |A|) max(1, |e^A|): measured in the tests, for |A| from 1e-4 to 2000.
"""

from __future__ import annotations

import math

import torch

from models import kernels

THETA = 0.5
DEGREES = {torch.float32: 9, torch.float64: 15}
TAYLOR = [1 / math.factorial(k) for k in range(16)]
SQUARINGS = {torch.float32: 16, torch.float64: 40}  # where the norm is not looked at


def matrix_exp(a: torch.Tensor) -> torch.Tensor:
    """`exp(a)` of each matrix, `[..., m, m] -> [..., m, m]`, in the dtype of `a`. No matrix touches another.

    In float32 and float64 by the scheme above; shorter dtypes in float32, rounded once at the end. On a CPU, and
    wherever no gradient is wanted, each matrix is squared as often as its norm asks for. In a training step elsewhere,
    under vmap, and compiled, reading the norms would mean to wait: there are always SQUARINGS, and matrices with a norm
    above THETA 2^SQUARINGS, of which a relative error of 1e-3 would be left, give nan.
    """
    if a.dtype not in DEGREES:
        return matrix_exp(a.float()).to(a.dtype)
    if a.numel() == 0:
        return torch.zeros_like(a)
    flat = a.reshape(-1, *a.shape[-2:])  # [n, m, m]
    norms = flat.detach().abs().sum(dim=-2).amax(dim=-1)  # [n], 1-norms
    if _can_wait(a):
        return _scaled_and_squared(flat, _squarings(norms)).view(a.shape)
    squarings = SQUARINGS[a.dtype]
    exact = (norms <= THETA * 2**squarings)[:, None, None]  # [n, 1, 1]
    return _scaled_and_squared(torch.where(exact, flat, math.nan), squarings).view(a.shape)


def _can_wait(a: torch.Tensor) -> bool:
    """Whether a number may be read from `a`: at no cost on a CPU; outside training at the cost of a wait."""
    if torch._C._are_functorch_transforms_active():  # vmap has no one number to read
        return False
    on_cpu = a.device.type == "cpu" and kernels.on
    return (on_cpu or not torch.is_grad_enabled()) and not torch.compiler.is_compiling()


def _squarings(norms: torch.Tensor) -> torch.Tensor:
    """How often matrices of these norms are halved to come below THETA: int32 `[n]`; 0 for nan and inf."""
    mantissa, exponent = torch.frexp(torch.where(torch.isfinite(norms), norms / THETA, 0))  # [n]; mantissa in [0.5, 1)
    return torch.where(mantissa == 0.5, exponent - 1, exponent).clamp(min=0)  # [n]


def _scaled_and_squared(a: torch.Tensor, squarings: int | torch.Tensor) -> torch.Tensor:
    """a `[n, m, m]`; squarings of all, or of each, `[n]` -> `[n, m, m]`."""
    identity = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)  # [m, m]
    if isinstance(squarings, int):
        least = most = squarings
        x = _taylor(a * 2.0**-squarings, identity)  # [n, m, m]
    else:
        least, most = (int(count) for count in torch.aminmax(squarings))
        each = squarings[:, None, None]  # [n, 1, 1]
        scale = torch.ldexp(a.new_ones(each.shape), -each)  # [n, 1, 1], powers of two
        x = _taylor(a * scale, identity)  # [n, m, m]
    for _ in range(least):
        x = torch.baddbmm(x, x, x, beta=2)  # [n, m, m]
    for done in range(least, most):
        under_way = each > done  # [n, 1, 1]
        y = torch.where(under_way, x, 0)  # [n, m, m]; what is done must not overflow, not even unseen
        x = torch.where(under_way, torch.baddbmm(y, y, y, beta=2), x)  # [n, m, m]
    return x + identity


def _taylor(b: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
    """`e^b - I`, the powers grouped by three: `t1 b + t2 b^2 + b^3 ((t3 + t4 b + t5 b^2) + b^3 (t6 + ...))`."""
    b2 = b @ b  # [n, m, m]
    b3 = b2 @ b  # [n, m, m]
    t, degree = TAYLOR, DEGREES[b.dtype]
    k = degree - 3
    x = t[k] * identity + t[k + 1] * b + t[k + 2] * b2 + t[degree] * b3  # [n, m, m]
    for k in range(degree - 6, 0, -3):
        x = t[k] * identity + t[k + 1] * b + t[k + 2] * b2 + b3 @ x  # [n, m, m]
    return b + t[2] * b2 + b3 @ x  # [n, m, m]
