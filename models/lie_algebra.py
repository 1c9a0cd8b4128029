"""A Lie algebra with a learned basis, its exponential map, and the two penalties that make it commutative.

A latent code z holds the coordinates of `A(z) = sum_j z_j A_j`, an element of the algebra; `exp(A(z))` is an element of
the group (Zhu et al. 2021, section 3). The latents may be divided among several subgroups, each with its own matrix
size; the group is then their direct product. Below, subgroup k has `latents_k` latents and `m_k x m_k` matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import islice

import torch
from torch import nn

from models.kernels.exponential import matrix_exp


class LieAlgebra(nn.Module):
    """Basis matrices `A_j`, one per latent, for one or several subgroups.

    Can be used on its own, in any floating dtype; batched and differentiable::

        algebra = LieAlgebra(subgroup_sizes=[100], subspace_sizes=[10])
        (g,) = algebra.exp(torch.randn(32, 10))          # [32, 10, 10]
        penalty = algebra.hessian_penalty()              # []

    Args:
        subgroup_sizes: number of matrix entries of each subgroup, m_k * m_k: perfect squares.
        subspace_sizes: number of latents of each subgroup.
        init_scale: standard deviation of the initial basis, N(0, init_scale^2).
    Raises:
        ValueError: the lists differ in length, or a subgroup size is not a perfect square.
    """

    def __init__(self, subgroup_sizes: Sequence[int], subspace_sizes: Sequence[int], init_scale: float = 0.001):
        super().__init__()
        if len(subgroup_sizes) != len(subspace_sizes):
            raise ValueError(f"{len(subgroup_sizes)} subgroup sizes for {len(subspace_sizes)} subspace sizes")
        for size in subgroup_sizes:
            if size < 1 or math.isqrt(size) ** 2 != size:
                raise ValueError(f"subgroup size {size} is not a perfect square")
        self.subgroup_sizes, self.subspace_sizes = tuple(subgroup_sizes), tuple(subspace_sizes)
        self.latents, self.feature_size = sum(subspace_sizes), sum(subgroup_sizes)  # entries of z, and of all matrices
        # One parameter [1, m_k, m_k] per latent, named as in the reference state dict, so that checkpoints interchange.
        self.lie_alg_basis_ls = nn.ParameterList(
            torch.randn(1, math.isqrt(size), math.isqrt(size)) * init_scale
            for size, latents in zip(subgroup_sizes, subspace_sizes, strict=True)
            for _ in range(latents)
        )

    def basis(self) -> list[torch.Tensor]:
        """The stacked basis of each subgroup: a list of `[latents_k, m_k, m_k]`."""
        matrices = iter(self.lie_alg_basis_ls)  # each [1, m_k, m_k]
        return [torch.cat(list(islice(matrices, latents))) for latents in self.subspace_sizes]

    def algebra_elements(self, z: torch.Tensor) -> list[torch.Tensor]:
        """`sum_j z_j A_j`. z `[batch, latents]` -> a list of `[batch, m_k, m_k]`, one per subgroup."""
        parts = z.split(self.subspace_sizes, dim=1)  # each [batch, latents_k]
        bases = [basis.to(torch.promote_types(z.dtype, basis.dtype)) for basis in self.basis()]
        return [torch.einsum("bl,lij->bij", part.to(basis), basis) for part, basis in zip(parts, bases, strict=True)]

    def exp(self, z: torch.Tensor) -> list[torch.Tensor]:
        """`exp(sum_j z_j A_j)` (eq. 4 of the paper). z `[batch, latents]` -> a list of `[batch, m_k, m_k]`.

        The result has the promoted dtype of z and the basis. It is computed in at least float32.
        """
        dtype = torch.promote_types(z.dtype, self.lie_alg_basis_ls[0].dtype)
        elements = self.algebra_elements(z.to(torch.promote_types(dtype, torch.float32)))  # each [batch, m_k, m_k]
        for size in set(self.subgroup_sizes):  # all subgroups of one size in one call: fewer and larger products
            same_size = [k for k, other in enumerate(self.subgroup_sizes) if other == size]
            stacked = matrix_exp(torch.stack([elements[k] for k in same_size]))  # [same_size, batch, m, m]
            for k, element in zip(same_size, stacked, strict=True):
                elements[k] = element
        return [element.to(dtype) for element in elements]

    def group_feats(self, z: torch.Tensor) -> torch.Tensor:
        """The group elements flattened and concatenated: z `[batch, latents]` -> `[batch, feature_size]`."""
        return torch.cat([element.flatten(1) for element in self.exp(z)], dim=1)  # [batch, sum(m_k * m_k)]

    def hessian_penalty(self) -> torch.Tensor:
        """Mean of `||A_i A_j||_F^2` over ordered pairs (i, j), with 0 for i = j; summed over subgroups. A scalar.

        If it is zero, so are the mixed second derivatives of the exponential map at the identity (Zhu et al. 2021,
        proposition 2).
        """
        return self._mean_squared_norm(pair_products)

    def commutator_penalty(self) -> torch.Tensor:
        """The same mean of `||A_i A_j - A_j A_i||_F^2`: zero if the group is commutative (proposition 1). A scalar.

        This is the paper's definition. The reference code transposes each product instead of swapping its factors,
        which is the same only for symmetric matrices; the published commands give the term weight 0.
        """
        return self._mean_squared_norm(commutators)

    def _mean_squared_norm(self, matrices: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """The mean over pairs of `pair_products` or `commutators`, with 0 for i = j; summed over subgroups."""
        total = self.lie_alg_basis_ls[0].new_zeros(())  # []
        for basis in self.basis():
            if len(basis) > 1:
                squared_norms = matrices(basis).square().sum(dim=(2, 3))  # [latents_k, latents_k]
                off_diagonal = squared_norms.sum() - squared_norms.diagonal().sum()  # []
                total = total + off_diagonal / len(basis) ** 2  # []
        return total


def pair_products(basis: torch.Tensor) -> torch.Tensor:
    """`A_i A_j` at entry (i, j): `[latents, m, m] -> [latents, latents, m, m]`."""
    return basis[:, None] @ basis[None, :]


def commutators(basis: torch.Tensor) -> torch.Tensor:
    """`A_i A_j - A_j A_i` at entry (i, j): `[latents, m, m] -> [latents, latents, m, m]`."""
    products = pair_products(basis)
    return products - products.transpose(0, 1)
