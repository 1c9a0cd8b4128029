"""Facts about the Lie algebra: its exponential map and its two penalties."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.lie_algebra import LieAlgebra

shapes = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=3)
seeds = st.integers(0, 2**31 - 1)


def algebra_of(shape: list[tuple[int, int]], seed: int, scale: float = 0.3) -> LieAlgebra:
    """float64, one subgroup for each (matrix side, latents)."""
    torch.manual_seed(seed)
    return LieAlgebra([side**2 for side, _ in shape], [latents for _, latents in shape], scale).double()


def set_basis(algebra: LieAlgebra, matrices: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for parameter, matrix in zip(algebra.lie_alg_basis_ls, matrices, strict=True):
            parameter.copy_(matrix[None])


@settings(max_examples=25, deadline=None)
@given(shapes, seeds)
def test_exponential_of_zero_is_identity(shape, seed):
    algebra = algebra_of(shape, seed)
    for element in algebra.exp(torch.zeros(2, algebra.latents, dtype=torch.float64)):
        torch.testing.assert_close(element, torch.eye(element.shape[-1], dtype=torch.float64).expand_as(element))


@settings(max_examples=25, deadline=None)
@given(shapes, seeds)
def test_exponential_of_minus_z_is_the_inverse(shape, seed):
    algebra = algebra_of(shape, seed)
    z = torch.randn(3, algebra.latents, dtype=torch.float64)
    for element, inverse in zip(algebra.exp(z), algebra.exp(-z), strict=True):
        torch.testing.assert_close(element @ inverse, torch.eye(element.shape[-1]).double().expand_as(element))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(2, 4), seeds)
def test_commuting_basis_gives_exp_of_sum_as_product(side, latents, seed):
    """Matrices that share eigenvectors commute."""
    algebra = algebra_of([(side, latents)], seed)
    rotation, _ = torch.linalg.qr(torch.randn(side, side, dtype=torch.float64))
    set_basis(algebra, [rotation @ torch.randn(side).double().diag() @ rotation.T for _ in range(latents)])
    a, b = torch.randn(2, 3, latents, dtype=torch.float64)
    (product,) = (x @ y for x, y in zip(algebra.exp(a), algebra.exp(b), strict=True))
    torch.testing.assert_close(algebra.exp(a + b)[0], product)
    assert algebra.commutator_penalty().item() < 1e-20


def test_non_commuting_basis_does_not():
    algebra = algebra_of([(2, 2)], 0)
    set_basis(algebra, [torch.tensor([[0.0, 1], [0, 0]]), torch.tensor([[0.0, 0], [1, 0]])])
    a, b = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
    assert (algebra.exp(a + b)[0] - algebra.exp(a)[0] @ algebra.exp(b)[0]).norm() > 0.1
    # [A, B] = diag(1, -1): squared norm 2 for both ordered pairs, over 4 pairs
    assert algebra.commutator_penalty().item() == pytest.approx(1.0)
    # A B = diag(1, 0), B A = diag(0, 1): squared norm 1 each
    assert algebra.hessian_penalty().item() == pytest.approx(0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 4), seeds)
def test_zero_mutual_products_give_zero_mixed_hessian(blocks, seed):
    """Basis matrices on disjoint blocks have A_i A_j = 0: then exp(z) has no mixed second derivative at any z."""
    algebra = algebra_of([(2 * blocks, blocks)], seed)
    matrices = []
    for block in range(blocks):
        matrix = torch.zeros(2 * blocks, 2 * blocks, dtype=torch.float64)
        matrix[2 * block : 2 * block + 2, 2 * block : 2 * block + 2] = torch.randn(2, 2).double()
        matrices.append(matrix)
    set_basis(algebra, matrices)
    assert algebra.hessian_penalty().item() == 0.0
    weights = torch.randn(algebra.feature_size, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(
        lambda z: (algebra.group_feats(z[None]) * weights).sum(), torch.randn(blocks, dtype=torch.float64)
    )
    assert (hessian - hessian.diagonal().diag()).abs().max() < 1e-9


@settings(max_examples=15, deadline=None)
@given(shapes, seeds)
def test_penalties_equal_a_loop_over_ordered_pairs(shape, seed):
    algebra = algebra_of(shape, seed)
    hessian = commutator = 0.0
    for basis in algebra.basis():
        n = len(basis)
        for i in range(n):
            for j in range(n):
                if i != j:
                    hessian += (basis[i] @ basis[j]).square().sum().item() / n**2
                    commutator += (basis[i] @ basis[j] - basis[j] @ basis[i]).square().sum().item() / n**2
    np.testing.assert_allclose(algebra.hessian_penalty().item(), hessian, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(algebra.commutator_penalty().item(), commutator, rtol=1e-9, atol=1e-15)


def test_gradients_are_those_of_finite_differences():
    algebra = algebra_of([(3, 2), (2, 1)], 3)
    z = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    functions = (lambda: algebra.group_feats(z), algebra.hessian_penalty, algebra.commutator_penalty)
    for function in functions:  # of the code and of the basis, which gradcheck moves in place
        assert torch.autograd.gradcheck(lambda *_, f=function: f(), (z, *algebra.parameters()))


@pytest.mark.parametrize(("sizes", "latents"), [([10], [2]), ([9, 4], [2]), ([0], [1])])
def test_impossible_sizes_are_refused(sizes, latents):
    with pytest.raises(ValueError, match="subgroup size"):
        LieAlgebra(sizes, latents)


def test_initial_basis_has_the_asked_scale():
    torch.manual_seed(0)
    algebra = LieAlgebra([400], [10], init_scale=0.001)
    assert torch.cat(list(algebra.lie_alg_basis_ls)).std().item() == pytest.approx(0.001, rel=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("of", ["both", "basis", "code"])
def test_the_exponential_in_other_dtypes_is_that_of_float64_rounded_once(dtype, of):
    torch.manual_seed(0)
    algebra, z = LieAlgebra([100, 9], [10, 2], init_scale=0.3), torch.randn(32, 12)
    algebra = algebra.to(dtype) if of != "code" else algebra
    z = z.to(dtype) if of != "basis" else z
    results, exact = algebra.exp(z), algebra.double().exp(z.double())
    for result, expected in zip(results, exact, strict=True):
        assert result.dtype == torch.promote_types(z.dtype, dtype if of != "code" else torch.float32)
        unit = torch.finfo(result.dtype).eps
        scale = expected.abs().amax(dim=(1, 2), keepdim=True)
        assert ((result.double() - expected).abs() <= unit / 2 * expected.abs() + 1e-5 * scale).all()
