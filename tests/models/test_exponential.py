"""The fast exponential is the exponential, and its derivative the derivative."""

from __future__ import annotations

import contextlib
import math

import pytest
import torch

from models import kernels
from models.kernels.exponential import SQUARINGS, THETA, matrix_exp

UNIT = 2.0**-24  # of rounding in float32


KINDS = {"random": lambda a: a, "rotations": lambda a: a - a.mT, "contractions": lambda a: -(a @ a.mT)}


def matrices(norm: float, m: int, count: int = 16, kind: str = "random") -> torch.Tensor:
    """float32 `[count, m, m]`, all of this 1-norm."""
    a = KINDS[kind](torch.randn(count, m, m, generator=torch.Generator().manual_seed(m)))
    return a * (norm / norms(a).clamp(min=1e-9))[:, None, None]


def norms(a: torch.Tensor) -> torch.Tensor:
    return a.abs().sum(dim=-2).amax(dim=-1)  # 1-norms


@pytest.fixture(params=["norm read", "norm not read"], autouse=True)
def way(request):
    """Both ways to choose the number of squarings: a CPU's, and that of a device that must not be waited for."""
    read = request.param == "norm read"
    with contextlib.nullcontext() if read else kernels.switched_off():
        yield 1 if read else 2  # more squarings than needed round more often


def errors(a: torch.Tensor) -> tuple[float, float]:
    """Of values and of gradients, against float64: relative, or absolute where the exponential is below 1."""
    a, exact = a.clone().requires_grad_(), a.double().requires_grad_()
    weights = torch.randn(a.shape, generator=torch.Generator().manual_seed(1))
    values, exact_values = matrix_exp(a), torch.matrix_exp(exact)
    (values * weights).sum().backward()
    (exact_values * weights.double()).sum().backward()
    of_values = norms(values.double() - exact_values) / norms(exact_values).clamp(min=1)
    of_gradients = norms(a.grad.double() - exact.grad) / norms(exact.grad).maximum(norms(weights).double())
    return of_values.max().item(), of_gradients.max().item()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("m", [1, 4, 10, 20, 40])
@pytest.mark.parametrize("norm", [1e-4, 1e-2, 0.5, 1.0, 5.0, 20.0])
def test_values_and_gradients_are_those_of_float64_up_to_a_few_roundings(norm, m, kind, way):
    of_values, of_gradients = errors(matrices(norm, m, kind=kind))
    assert of_values <= way * 4 * UNIT * max(1, norm)
    assert of_gradients <= way * 6 * UNIT * max(1, norm)


@pytest.mark.parametrize(("degree", "unit"), [(9, UNIT), (15, 2.0**-53)])
def test_truncation_alone_is_below_rounding_for_any_number_of_squarings(degree, unit):
    rho = THETA ** (degree + 1) / math.factorial(degree + 1) / (1 - THETA / (degree + 2))
    for squarings in range(12):
        assert math.expm1(2**squarings * math.log1p(math.exp(THETA) * rho)) < 0.02 * 2**squarings * unit


def rotations(norm: float, m: int = 6, count: int = 8, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """Antisymmetric matrices of this 1-norm, and their exponentials from their eigenvalues; each `[count, m, m]`."""
    a = matrices(norm, m, count, "rotations").to(dtype)
    values, vectors = torch.linalg.eigh(1j * a.double())  # [count, m], [count, m, m]
    return a, (vectors @ torch.diag_embed(torch.exp(-1j * values)) @ vectors.mH).real


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("norm", [20.0, 200.0, 2000.0])
def test_large_rotations_are_right_where_those_of_torch_are(norm, dtype):
    a, exact = rotations(norm, dtype=dtype)
    allowed = 4 * torch.finfo(dtype).eps * norm
    for exponential in (torch.matrix_exp, matrix_exp, torch.func.vmap(matrix_exp)):
        assert norms(exponential(a).double() - exact).max() <= allowed


def test_compiled_too():
    a, exact = rotations(200.0, dtype=torch.float32)
    compiled = torch.compile(matrix_exp, backend="eager", fullgraph=True)
    assert norms(compiled(a).double() - exact).max() <= 4 * torch.finfo(a.dtype).eps * 200


def test_float64_is_torchs_and_its_derivatives_are_those_of_differences():
    a = matrices(3.0, 5).double()
    torch.testing.assert_close(matrix_exp(a), torch.matrix_exp(a), rtol=1e-13, atol=1e-14)
    assert torch.autograd.gradcheck(matrix_exp, a[:2].clone().requires_grad_())
    assert torch.autograd.gradgradcheck(matrix_exp, a[:1, :3, :3].clone().requires_grad_())


def test_zero_empty_and_non_finite():
    assert torch.equal(matrix_exp(torch.zeros(2, 3, 3)), torch.eye(3).expand(2, 3, 3))
    assert matrix_exp(torch.zeros(0, 3, 3)).shape == (0, 3, 3)
    for value in (math.nan, math.inf, -math.inf):
        assert not torch.isfinite(matrix_exp(torch.full((1, 2, 2), value))).any()


def test_shapes_and_that_matrices_do_not_touch_one_another():
    a = matrices(3.0, 5, count=12)
    together = matrix_exp(a.view(3, 4, 5, 5))
    assert together.shape == (3, 4, 5, 5)
    torch.testing.assert_close(together.flatten(0, 1), matrix_exp(a))
    torch.testing.assert_close(matrix_exp(a[0]), matrix_exp(a)[0])


def test_a_norm_that_was_not_looked_at_and_is_too_large_gives_nan_there_alone():
    largest = THETA * 2 ** SQUARINGS[torch.float32]
    a = torch.cat([rotations(share * largest, count=1, dtype=torch.float32)[0] for share in (0.9, 1.1)])
    with kernels.switched_off():
        values = matrix_exp(a.requires_grad_())
    assert torch.isfinite(values).all(dim=(1, 2)).tolist() == [True, False]


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e4, 300.0])
def test_a_bad_or_large_matrix_changes_no_bit_of_the_others_nor_of_their_gradients(value):
    a = torch.cat(
        [*(matrices(norm, 4, 2) for norm in (1e-3, 0.4, 3.0, 20.0)), 60 * torch.eye(4)[None]]
    )  # e^120 overflows
    spoilt = torch.cat([torch.full((1, 4, 4), value), a])
    results = []
    for batch, own in ((a, slice(None)), (spoilt, slice(1, None))):
        batch = batch.clone().requires_grad_()
        exponentials = matrix_exp(batch)[own]
        exponentials.sum().backward()
        results.append((exponentials.detach(), batch.grad[own]))
    (values, gradients), (beside, gradients_beside) = results
    assert torch.isfinite(values).all() and torch.isfinite(gradients).all()
    assert torch.equal(values, beside) and torch.equal(gradients, gradients_beside)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_shorter_dtypes_are_rounded_once(dtype):
    a = matrices(3.0, 10).to(dtype)
    exact = torch.matrix_exp(a.double())
    values = matrix_exp(a)
    assert values.dtype == dtype
    torch.testing.assert_close(values.double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-5)
