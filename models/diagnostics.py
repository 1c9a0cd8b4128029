"""Measures of a learned basis and of the group action: pure functions of matrices, codes and models.

Several subgroups form one block-diagonal group: matrices of different subgroups commute, and their product is zero.
Here `bases` holds a basis `[latents_k, m_k, m_k]` for each subgroup, on the CPU: other devices may lack an operation,
or float64.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from models.lie_algebra import commutators, pair_products

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


def find(model, z: torch.Tensor, pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Findings:
    """The equivariance errors of a model and, where a group acts on its codes, all measures of the basis.

    As scalars, the smallest equivariance error for each factor, and their mean.

    Args:
        model: has `decode(z)` and `act(z, moves)`, both to logits, and `algebra`, see `models.vae.VAE`.
        z: mean codes of images, `[n, latents]`.
        pairs: factor name -> mean codes of images before and after this factor changed, `[n, latents]` each.
    """
    found = Findings({}, {}, {}, [])
    if model.algebra is not None:
        bases, elements = ([part.cpu() for part in parts] for parts in (model.algebra.basis(), model.algebra.exp(z)))
        found = algebra_findings(bases, elements, z.cpu())
    errors = {name: equivariance_errors(model, *codes) for name, codes in pairs.items()}  # each [latents]
    if errors:
        tags = {"mean": "factor mean"}  # of a factor that has the name of the mean
        smallest = {f"equivariance_error/{tags.get(name, name)}": float(e.min()) for name, e in errors.items()}
        found.scalars.update(smallest)
        found.scalars["equivariance_error/mean"] = math.fsum(smallest.values()) / len(smallest)
        found.matrices["equivariance_error"] = np.stack(list(errors.values()))  # [factors, latents]
    return found._replace(factors=tuple(errors))


def algebra_findings(bases: Sequence[torch.Tensor], elements: Sequence[torch.Tensor], z: torch.Tensor) -> Findings:
    """All measures of the basis; elements: those of the codes z `[n, latents]`, `[n, m_k, m_k]` for each subgroup."""
    norms, products, brackets = basis_norms(bases), product_norms(bases), commutator_norms(bases)
    absolute, relative = decomposition_error(bases, z)
    condition = condition_numbers(elements).numpy()  # [n]
    scalars = {f"basis_norm/{j:02d}": norm for j, norm in enumerate(norms.tolist())}
    scalars |= {
        "algebra/product_norm": mean_off_diagonal(products),
        "algebra/product_norm_relative": relative_norm(products, bases),
        "algebra/commutator_norm": mean_off_diagonal(brackets),
        "algebra/commutator_norm_relative": relative_norm(brackets, bases),
        "algebra/product_norm_random": random_norm(bases),
        "algebra/decomposition_error": absolute,
        "algebra/decomposition_error_relative": relative,
        "algebra/condition_number_median": float(np.median(condition)),
        "algebra/condition_number_max": float(condition.max()),
    }
    sizes = factor_norms(bases)  # [latents, latents]
    matrices = {  # relative to the sizes; 0 where a matrix is zero
        name: torch.where(sizes > 0, values / sizes, 0.0).numpy()
        for name, values in (("product_norms", products), ("commutator_norms", brackets))
    }
    shares = {name: share * norms.numpy() for name, share in readings(bases).items()}
    return Findings(scalars, matrices, shares, eigenvalues(bases))


def basis_norms(bases: Sequence[torch.Tensor]) -> torch.Tensor:
    """`||A_i||_F`: `[latents]`."""
    return torch.cat([basis.flatten(1).norm(dim=1) for basis in bases])


def factor_norms(bases: Sequence[torch.Tensor]) -> torch.Tensor:
    """`||A_i||_F ||A_j||_F` within each subgroup, 0 between them: `[latents, latents]`."""
    norms = [basis_norms([basis]) for basis in bases]  # each [latents_k]
    return torch.block_diag(*[torch.outer(n, n) for n in norms])


def product_norms(bases: Sequence[torch.Tensor]) -> torch.Tensor:
    """`||A_i A_j||_F`, with the diagonal: `[latents, latents]`. The Hessian penalty drives the rest to zero."""
    return torch.block_diag(*[pair_products(basis).norm(dim=(2, 3)) for basis in bases])


def commutator_norms(bases: Sequence[torch.Tensor]) -> torch.Tensor:
    """`||A_i A_j - A_j A_i||_F`: `[latents, latents]`; zero everywhere if and only if the group is commutative."""
    return torch.block_diag(*[commutators(basis).norm(dim=(2, 3)) for basis in bases])


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
    Returns:
        0 for zero matrices, and without pairs.
    """
    whole = mean_off_diagonal(factor_norms(bases).double().square())
    return math.sqrt(mean_off_diagonal(pairs.double().square()) / whole) if whole > 0 else 0.0


def random_norm(bases: Sequence[torch.Tensor]) -> float:
    """What `relative_norm` is for products of random matrices of these sizes; of commutators, sqrt(2) times that."""
    pairs = [(len(basis) * (len(basis) - 1), basis.shape[-1]) for basis in bases]  # number of pairs, m
    count = sum(number for number, _ in pairs)
    return math.sqrt(sum(number / m for number, m in pairs) / count) if count else 0.0


def decomposition_error(bases: Sequence[torch.Tensor], z: torch.Tensor) -> tuple[float, float]:
    """`||exp(sum_j z_j A_j) - prod_j exp(z_j A_j)||_F` over codes: is the group a product of one-parameter subgroups?

    Args:
        z: codes `[n, latents]`.
    Returns:
        The root mean square over the codes, and its ratio to that of `||exp(sum_j z_j A_j) - I||_F`, the distance from
        the identity (0 if that is 0).
    """
    error, moved = torch.zeros(len(z)), torch.zeros(len(z))  # [n] each
    for basis, part in zip(bases, z.split([len(basis) for basis in bases], dim=1), strict=True):
        whole = torch.matrix_exp(torch.einsum("nl,lij->nij", part, basis))  # [n, m, m]
        factors = torch.matrix_exp(part[:, :, None, None] * basis)  # [n, latents_k, m, m]
        product = functools.reduce(torch.matmul, factors.unbind(dim=1))  # [n, m, m]
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
