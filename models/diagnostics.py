"""Measures of a learned basis and of the group action: pure functions of matrices, codes and models.

Several subgroups form one block-diagonal group: matrices of different subgroups commute, and their product is zero.
Measures of a basis take tensors on the CPU: other devices may lack an operation, or float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

TINY = 1e-12  # below it a squared norm counts as zero


class Findings(NamedTuple):
    """Measures of a model, to be logged and drawn without knowledge of the model.

    scalars: tag -> number.
    matrices: name -> float `[rows, latents]`: `product_norms`, `commutator_norms`, a row for each latent, and
        `equivariance_error`, a row for each of `factors`.
    per_latent: name -> float `[latents]`; drawn as stacked bars, one per latent.
    spectra: eigenvalues of each latent's matrix, complex `[m_k]` each; empty for a model without matrices.
    """

    scalars: dict[str, float]
    matrices: dict[str, np.ndarray]
    per_latent: dict[str, np.ndarray]
    spectra: list[np.ndarray]
    factors: tuple[str, ...] = ()


def basis_norms(bases: Sequence[torch.Tensor]) -> torch.Tensor:
    """`||A_i||_F`. A `[latents_k, m_k, m_k]` for each subgroup -> `[latents]`."""
    return torch.cat([basis.flatten(1).norm(dim=1) for basis in bases])  # [latents]


def product_norms(bases: Sequence[torch.Tensor]) -> torch.Tensor:
    """`||A_i A_j||_F`, with the diagonal: `[latents, latents]`. The Hessian penalty drives the rest to zero."""
    return torch.block_diag(*[_products(basis).norm(dim=(2, 3)) for basis in bases])


def commutator_norms(bases: Sequence[torch.Tensor]) -> torch.Tensor:
    """`||A_i A_j - A_j A_i||_F`: `[latents, latents]`; zero everywhere if and only if the group is commutative."""
    products = [_products(basis) for basis in bases]  # each [latents_k, latents_k, m_k, m_k]
    return torch.block_diag(*[(p - p.transpose(0, 1)).norm(dim=(2, 3)) for p in products])


def mean_off_diagonal(matrix: torch.Tensor) -> float:
    """The mean of a square matrix's entries off its diagonal; 0 for a 1x1 matrix."""
    n = len(matrix)
    return (matrix.sum() - matrix.diagonal().sum()).item() / max(n * (n - 1), 1)


def relative_norm(pairs: torch.Tensor, bases: Sequence[torch.Tensor]) -> float:
    """Norms of products or commutators relative to those of their factors; does not depend on the scale of the basis.

    The root of the sum of the squares over i != j in one subgroup, divided by that of `||A_i||_F ||A_j||_F`. For
    independent random m x m matrices it is `sqrt(1 / m)` for products and `sqrt(2 / m)` for commutators, up to 1 / m.

    Args:
        pairs: the result of `product_norms` or `commutator_norms`, `[latents, latents]`.
        bases: `[latents_k, m_k, m_k]` for each subgroup.
    Returns:
        0 for zero matrices, and without pairs.
    """
    norms = [basis_norms([basis]) for basis in bases]  # each [latents_k]
    sizes = torch.block_diag(*[torch.outer(n, n) for n in norms])  # [latents, latents]
    whole = mean_off_diagonal(sizes.double().square())
    return math.sqrt(mean_off_diagonal(pairs.double().square()) / whole) if whole > 0 else 0.0


def relative_norms(pairs: torch.Tensor, bases: Sequence[torch.Tensor]) -> np.ndarray:
    """Each norm of `pairs` `[latents, latents]` over `||A_i||_F ||A_j||_F`; 0 where a matrix is zero."""
    norms = basis_norms(bases)  # [latents]
    sizes = torch.outer(norms, norms)
    return torch.where(sizes > 0, pairs / sizes, 0.0).numpy()


def random_norm(bases: Sequence[torch.Tensor]) -> float:
    """What `relative_norm` is for products of random matrices of these sizes; of commutators, sqrt(2) times that."""
    pairs = [(len(basis) * (len(basis) - 1), basis.shape[-1]) for basis in bases]  # number of pairs, m
    count = sum(number for number, _ in pairs)
    return math.sqrt(sum(number / m for number, m in pairs) / count) if count else 0.0


def exponentials(basis: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`exp(sum_j z_j A_j)` and `prod_j exp(z_j A_j)`, j ascending from the left, each `[n, m, m]`.

    Args:
        basis: `[latents, m, m]`.
        z: codes `[n, latents]`.
    """
    whole = torch.matrix_exp(torch.einsum("nl,lij->nij", z, basis))  # [n, m, m]
    factors = torch.matrix_exp(z[:, :, None, None] * basis)  # [n, latents, m, m]
    product = factors[:, 0]  # [n, m, m]
    for j in range(1, len(basis)):
        product = product @ factors[:, j]
    return whole, product


def decomposition_error(bases: Sequence[torch.Tensor], z: torch.Tensor) -> tuple[float, float]:
    """`||exp(sum_j z_j A_j) - prod_j exp(z_j A_j)||_F` over codes: is the group a product of one-parameter subgroups?

    Args:
        bases: `[latents_k, m_k, m_k]` for each subgroup.
        z: codes `[n, latents]`.
    Returns:
        The root mean square over the codes, and its ratio to that of `||exp(sum_j z_j A_j) - I||_F`, the distance from
        the identity (0 if that is 0).
    """
    error, moved = torch.zeros(len(z)), torch.zeros(len(z))  # [n] each
    for basis, part in zip(bases, z.split([len(basis) for basis in bases], dim=1), strict=True):
        whole, product = exponentials(basis, part)  # [n, m, m] each
        error += (whole - product).square().sum(dim=(1, 2))
        moved += (whole - torch.eye(basis.shape[1])).square().sum(dim=(1, 2))
    absolute, size = error.mean().sqrt().item(), moved.mean().sqrt().item()
    return absolute, absolute / size if size > TINY else 0.0


def eigenvalues(bases: Sequence[torch.Tensor]) -> list[np.ndarray]:
    """The eigenvalues of each A_j: a list of complex `[m_k]`, one per latent."""
    return [np.linalg.eigvals(matrix) for basis in bases for matrix in basis.detach().double().numpy()]


def readings(bases: Sequence[torch.Tensor]) -> dict[str, np.ndarray]:
    """The fractions of each `||A_j||_F^2` that rotate, scale and shear: three arrays `[latents]` that sum to 1.

    In Schur form A = Q (D + N) Q*, with the eigenvalues in D and N strictly triangular, `||A||^2 = ||D||^2 + ||N||^2`.
    Imaginary parts of D rotate (they are the frequencies of `exp(tA)`), real parts scale, and N, which is zero for a
    normal matrix, shears (Henrici's departure from normality). For a zero matrix all three are 0.
    """
    spectra = eigenvalues(bases)
    total = basis_norms([basis.detach().double() for basis in bases]).numpy() ** 2  # [latents]
    rotate = np.array([np.square(values.imag).sum() for values in spectra])  # [latents]
    scale = np.array([np.square(values.real).sum() for values in spectra])  # [latents]
    shear = np.clip(total - rotate - scale, 0, None)  # [latents]
    whole = np.where(rotate + scale + shear > TINY, rotate + scale + shear, np.inf)  # [latents]
    return {"rotate": rotate / whole, "scale": scale / whole, "shear": shear / whole}


def condition_numbers(elements: Sequence[torch.Tensor]) -> torch.Tensor:
    """Largest over smallest singular value of block-diagonal group elements: `[n, m_k, m_k]` each -> `[n]`.

    Infinite if an element is singular to working precision.
    """
    singular = torch.cat([torch.linalg.svdvals(element) for element in elements], dim=1)  # [n, sum(m_k)]
    return singular.amax(dim=1) / singular.amin(dim=1)


@torch.no_grad()
def equivariance_errors(model, before: torch.Tensor, after: torch.Tensor) -> np.ndarray:
    """Does changing a factor of the image act as one group element, `exp(t A_j)`, that is the same for all images?

    For every latent j, t is the mean change of z_j over the images. The code of the image before the change is moved by
    the group action, decoded, and compared with the decoded code of the image after the change.

    Args:
        model: has `decode(z)` and `act(z, moves)`, both to logits.
        before, after: mean codes of images and of the same images with one factor changed, `[n, latents]` each.
    Returns:
        float `[latents]`: squared error over pixels, relative to that of not moving the code. 0: the latent does what
        the factor does. 1: no better than not moving. Above 1: it does something else. 1 if the images do not change.
    """
    start, target = torch.sigmoid(model.decode(before)), torch.sigmoid(model.decode(after))  # [n, c, h, w] each
    nothing = (start - target).square().sum().item()
    n, latents = before.shape
    steps = (after - before).mean(dim=0).diag()  # [latents, latents], a row for each latent alone
    moves = steps.repeat_interleave(n, dim=0)  # [latents * n, latents]
    moved = torch.sigmoid(model.act(before.repeat(latents, 1), [moves]))  # [latents * n, c, h, w]
    errors = (moved.unflatten(0, (latents, n)) - target).square().sum(dim=(1, 2, 3, 4)).cpu().numpy()  # [latents]
    return errors / nothing if nothing > TINY else np.ones(latents)


def equivariance(model, pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Findings:
    """`equivariance_errors` for every factor; as scalars, the smallest error for each factor, and their mean.

    Args:
        pairs: factor name -> mean codes before and after its change, `[n, latents]` each.
    """
    errors = {name: equivariance_errors(model, *codes) for name, codes in pairs.items()}  # each [latents]
    tags = {"mean": "factor mean"}  # of a factor that has the name of the mean
    scalars = {f"equivariance_error/{tags.get(name, name)}": float(values.min()) for name, values in errors.items()}
    if not errors:
        return Findings({}, {}, {}, [])
    scalars["equivariance_error/mean"] = math.fsum(scalars.values()) / len(scalars)
    matrices = {"equivariance_error": np.stack(list(errors.values()))}  # [factors, latents]
    return Findings(scalars, matrices, {}, [], tuple(errors))


def algebra_findings(bases: Sequence[torch.Tensor], elements: Sequence[torch.Tensor], z: torch.Tensor) -> Findings:
    """All measures of the basis.

    Args:
        bases: `[latents_k, m_k, m_k]` for each subgroup.
        elements: group elements of the codes, `[n, m_k, m_k]` for each subgroup.
        z: codes from the data, `[n, latents]`.
    """
    norms, products, commutators = basis_norms(bases), product_norms(bases), commutator_norms(bases)
    absolute, relative = decomposition_error(bases, z)
    condition = condition_numbers(elements).numpy()  # [n]
    scalars = {f"basis_norm/{j:02d}": norm for j, norm in enumerate(norms.tolist())}
    scalars |= {
        "algebra/product_norm": mean_off_diagonal(products),
        "algebra/product_norm_relative": relative_norm(products, bases),
        "algebra/commutator_norm": mean_off_diagonal(commutators),
        "algebra/commutator_norm_relative": relative_norm(commutators, bases),
        "algebra/product_norm_random": random_norm(bases),
        "algebra/decomposition_error": absolute,
        "algebra/decomposition_error_relative": relative,
        "algebra/condition_number_median": float(np.median(condition)),
        "algebra/condition_number_max": float(condition.max()),
    }
    matrices = {
        "product_norms": relative_norms(products, bases),
        "commutator_norms": relative_norms(commutators, bases),
    }
    shares = {name: share * norms.numpy() for name, share in readings(bases).items()}
    return Findings(scalars, matrices, shares, eigenvalues(bases))


def _products(basis: torch.Tensor) -> torch.Tensor:
    """`A_i A_j`: `[latents, m, m]` -> `[latents, latents, m, m]`."""
    return basis[:, None] @ basis[None, :]
