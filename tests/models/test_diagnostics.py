"""The diagnostics against cases whose answer is known."""

import math

import numpy as np
import pytest
import torch

from models import diagnostics
from models.lie_vae import LieGroupVAE


def block(entries: list[list[float]], at: int, size: int = 6) -> torch.Tensor:
    """`[size, size]`: zero but for a block on the diagonal."""
    matrix, part = torch.zeros(size, size), torch.tensor(entries)
    matrix[at : at + len(part), at : at + len(part)] = part
    return matrix


ROTATION, SCALING, SHEAR = [[0.0, -1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, -0.5]], [[0.0, 1.0], [0.0, 0.0]]
COMMUTING = torch.stack([block(ROTATION, 0), block(SCALING, 2), block(SHEAR, 4)])  # blocks of their own
CLASHING = torch.stack([block(ROTATION, 0), block(SCALING, 0)])  # both on the same plane


def test_disjoint_blocks_have_no_products_and_no_commutators():
    products = diagnostics.product_norms([COMMUTING])
    assert diagnostics.mean_off_diagonal(products) == 0
    torch.testing.assert_close(products.diagonal(), torch.tensor([math.sqrt(2), math.sqrt(1 + 0.0625), 0.0]))
    assert diagnostics.commutator_norms([COMMUTING]).abs().max() == 0


def test_commutator_of_a_rotation_and_a_scaling():
    # [R, S] for S = diag(1, -1/2) is (1 + 1/2) times the exchange matrix: norm 1.5 sqrt(2).
    expected = torch.tensor([[0, 1.5 * math.sqrt(2)], [1.5 * math.sqrt(2), 0]])
    torch.testing.assert_close(diagnostics.commutator_norms([CLASHING]), expected)


def test_subgroups_commute_with_one_another():
    norms = diagnostics.commutator_norms([CLASHING, CLASHING])
    assert norms.shape == (4, 4)
    assert norms[:2, 2:].abs().max() == 0 and norms[0, 1] > 1


def test_relative_norms_are_zero_for_a_commuting_basis_and_do_not_depend_on_its_scale():
    assert diagnostics.relative_norm(diagnostics.product_norms([COMMUTING]), [COMMUTING]) == 0
    # [R, S] has norm 1.5 sqrt(2), R sqrt(2), S sqrt(1.25); a second subgroup adds no pairs with the first.
    for bases in ([CLASHING], [1e-3 * CLASHING], [CLASHING, 5 * CLASHING]):
        relative = diagnostics.relative_norm(diagnostics.commutator_norms(bases), bases)
        assert relative == pytest.approx(1.5 / math.sqrt(1.25), rel=1e-5)
    assert diagnostics.relative_norm(torch.zeros(2, 2), [torch.zeros(2, 3, 3)]) == 0
    assert diagnostics.relative_norm(torch.ones(1, 1), [torch.ones(1, 3, 3)]) == 0


def test_relative_norms_of_random_matrices():
    basis = torch.randn(20, 10, 10, generator=torch.Generator().manual_seed(0))
    products, commutators = diagnostics.product_norms([basis]), diagnostics.commutator_norms([basis])
    assert diagnostics.random_norm([basis]) == pytest.approx(math.sqrt(1 / 10))
    assert diagnostics.relative_norm(products, [basis]) == pytest.approx(math.sqrt(1 / 10), rel=0.02)
    assert diagnostics.relative_norm(commutators, [basis]) == pytest.approx(math.sqrt(2 / 10), rel=0.02)


def test_decomposition_error_is_zero_exactly_where_the_group_comes_apart():
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    absolute, relative = diagnostics.decomposition_error([COMMUTING], z)
    assert absolute < 1e-5 and relative < 1e-5
    absolute, relative = diagnostics.decomposition_error([CLASHING], z[:, :2])
    assert absolute > 0.1 and relative > 0.05


def test_decomposition_error_of_a_group_that_does_not_move_is_zero():
    assert diagnostics.decomposition_error([torch.zeros(2, 3, 3)], torch.ones(4, 2)) == (0.0, 0.0)


def test_readings_tell_rotation_scaling_and_shear_apart():
    shares = diagnostics.readings([COMMUTING.clone().requires_grad_()])  # as a learned basis does
    np.testing.assert_allclose(shares["rotate"], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(shares["scale"], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(shares["shear"], [0, 0, 1], atol=1e-12)


def test_readings_do_not_depend_on_an_orthogonal_change_of_basis():
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))
    basis = torch.randn(3, 6, 6, generator=torch.Generator().manual_seed(2))
    before, after = diagnostics.readings([basis]), diagnostics.readings([turn @ basis @ turn.T])
    for name in before:
        np.testing.assert_allclose(before[name], after[name], atol=1e-4)
    np.testing.assert_allclose(sum(before.values()), 1)


def test_readings_of_a_zero_matrix_are_zero():
    assert sum(share.item() for share in diagnostics.readings([torch.zeros(1, 4, 4)]).values()) == 0


def test_condition_number_is_one_for_rotations_and_known_for_scalings():
    z = torch.tensor([[1.3, 0.0], [0.0, 2.0]])
    elements = torch.matrix_exp(torch.einsum("nl,lij->nij", z, COMMUTING[:2]))
    torch.testing.assert_close(diagnostics.condition_numbers([elements]), torch.tensor([1.0, math.exp(3.0)]))


class Sliding:
    """One bright pixel; latent 0 shifts it, latent 1 does nothing. Decoding wraps around."""

    algebra = None

    def decode(self, z):
        images = torch.full((len(z), 1, 8, 8), -20.0)
        images[torch.arange(len(z)), 0, 0, z[:, 0].round().long() % 8] = 20.0
        return images

    def act(self, z, moves):
        return self.decode(z + sum(moves))


def test_equivariance_error_is_zero_for_the_latent_that_does_what_the_factor_does():
    before = torch.tensor([[0.0, 0.5], [1.0, 0.1], [4.0, -1.0]])
    after = before + torch.tensor([2.0, 0.3])
    np.testing.assert_allclose(diagnostics.equivariance_errors(Sliding(), before, after), [0, 1], atol=1e-6)
    findings = diagnostics.find(Sliding(), before, {"shift": (before, after)})
    assert findings.scalars == pytest.approx({"equivariance_error/shift": 0, "equivariance_error/mean": 0}, abs=1e-6)


def test_a_factor_called_mean_is_not_taken_for_the_mean():
    before, still = torch.tensor([[0.0, 0.5], [1.0, 0.1]]), torch.ones(2, 2)
    pairs = {"mean": (before, before + torch.tensor([2.0, 0.3])), "b": (still, still)}
    scalars = diagnostics.find(Sliding(), before, pairs).scalars
    assert scalars["equivariance_error/factor mean"] == pytest.approx(0, abs=1e-6)
    assert scalars["equivariance_error/mean"] == pytest.approx(0.5, abs=1e-6)


def test_equivariance_error_is_one_where_nothing_moves():
    codes = torch.ones(3, 2)
    np.testing.assert_array_equal(diagnostics.equivariance_errors(Sliding(), codes, codes), [1, 1])


@pytest.fixture
def model() -> LieGroupVAE:
    torch.manual_seed(0)
    return LieGroupVAE(1, [9, 4], [2, 2], lie_alg_init_scale=0.3).eval()


def test_lie_group_vae_reports_algebra_and_equivariance(model):
    z = torch.randn(8, 4)
    findings = model.diagnostics(z, {"size": (z[:4], z[4:])})
    assert set(findings.matrices) == {"product_norms", "commutator_norms", "equivariance_error"}
    assert {"algebra/commutator_norm", "algebra/decomposition_error", "basis_norm/03"} <= set(findings.scalars)
    assert [len(values) for values in findings.spectra] == [3, 3, 2, 2]
    assert all(math.isfinite(value) for value in findings.scalars.values())


def test_without_the_exponential_map_there_is_no_group_to_report():
    model = LieGroupVAE(1, [9], [3], no_exp=True)
    z = torch.randn(4, 3)
    assert set(model.diagnostics(z, {"size": (z, z + 1)}).matrices) == {"equivariance_error"}


def test_relative_norms_do_not_depend_on_the_scale_of_the_basis():
    basis = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(1))
    basis[2] = 0
    z, elements = torch.randn(2, 3), [torch.eye(4).expand(2, 4, 4)]
    found = [diagnostics.algebra_findings([b], elements, z).matrices for b in (basis, 1e-3 * basis)]
    first, second = (matrices["product_norms"] for matrices in found)
    assert first == pytest.approx(second, rel=1e-5) and (first[2] == 0).all() and first[0, 1] > 0
