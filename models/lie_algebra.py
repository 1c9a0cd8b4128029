"""A Lie algebra with a learned basis, its exponential map, and the two penalties that make it commutative.

A latent code z is a coordinate vector: `A(z) = sum_j z_j A_j` is an element of the algebra, `exp(A(z))` an element of
the group (Zhu et al. 2021, section 3). The code may be cut into several subgroups, each with matrices of its own size;
the group is then their direct product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from models.kernels.exponential import matrix_exp


class LieAlgebra(nn.Module):
    """Basis matrices `A_j`, one per latent, for one or several subgroups.

    Usable on its own, in any floating dtype, batched and differentiable::

        algebra = LieAlgebra(subgroup_sizes=[100], subspace_sizes=[10])
        (g,) = algebra.exp(torch.randn(32, 10))          # [32, 10, 10]
        penalty = algebra.hessian_penalty()              # []

    Args:
        subgroup_sizes: entries of each subgroup's matrices, m*m: perfect squares.
        subspace_sizes: number of latents of each subgroup.
        init_scale: standard deviation of the initial basis, N(0, init_scale^2).
    Raises:
        ValueError: lists of different lengths, or a size that is no perfect square.
    """

    def __init__(self, subgroup_sizes: Sequence[int], subspace_sizes: Sequence[int], init_scale: float = 0.001):
        super().__init__()
        if len(subgroup_sizes) != len(subspace_sizes):
            raise ValueError(f"{len(subgroup_sizes)} subgroup sizes for {len(subspace_sizes)} subspace sizes")
        for size in subgroup_sizes:
            if size < 1 or math.isqrt(size) ** 2 != size:
                raise ValueError(f"subgroup size {size} is not a perfect square")
        self.subgroup_sizes = tuple(subgroup_sizes)
        self.subspace_sizes = tuple(subspace_sizes)
        # One parameter a latent, [1, m, m], under the reference name: state dicts interchange.
        self.lie_alg_basis_ls = nn.ParameterList(
            torch.randn(1, math.isqrt(size), math.isqrt(size)) * init_scale
            for size, latents in zip(subgroup_sizes, subspace_sizes, strict=True)
            for _ in range(latents)
        )

    @property
    def latents(self) -> int:
        """Length of a coordinate vector z."""
        return sum(self.subspace_sizes)

    @property
    def feature_size(self) -> int:
        """Number of entries of a group element, over all subgroups."""
        return sum(self.subgroup_sizes)

    def basis(self) -> list[torch.Tensor]:
        """The stacked basis of each subgroup: a list of `[latents_k, m_k, m_k]`."""
        matrices = list(self.lie_alg_basis_ls)
        stacked, start = [], 0
        for latents in self.subspace_sizes:
            stacked.append(torch.cat(matrices[start : start + latents]))  # [latents_k, m_k, m_k]
            start += latents
        return stacked

    def algebra_elements(self, z: torch.Tensor) -> list[torch.Tensor]:
        """`sum_j z_j A_j`. z `[batch, latents]` -> a list of `[batch, m_k, m_k]`, one per subgroup."""
        parts = z.split(self.subspace_sizes, dim=1)  # each [batch, latents_k]
        bases = [basis.to(torch.promote_types(z.dtype, basis.dtype)) for basis in self.basis()]
        return [torch.einsum("bl,lij->bij", part.to(basis), basis) for part, basis in zip(parts, bases, strict=True)]

    def exp(self, z: torch.Tensor) -> list[torch.Tensor]:
        """`exp(sum_j z_j A_j)` (eq. 4 of the paper). z `[batch, latents]` -> a list of `[batch, m_k, m_k]`.

        In the dtype that z and the basis give together; computed in float32 at least, also under autocast.
        """
        dtype = torch.promote_types(z.dtype, self.lie_alg_basis_ls[0].dtype)
        with torch.autocast(z.device.type, enabled=False):
            return [element.to(dtype) for element in self._exp(z.to(torch.promote_types(dtype, torch.float32)))]

    def _exp(self, z: torch.Tensor) -> list[torch.Tensor]:
        elements = self.algebra_elements(z)  # each [batch, m_k, m_k]
        for size in set(self.subgroup_sizes):  # subgroups of one size together: fewer and larger products
            alike = [k for k, other in enumerate(self.subgroup_sizes) if other == size]
            together = matrix_exp(torch.stack([elements[k] for k in alike]))  # [alike, batch, m, m]
            for k, element in zip(alike, together, strict=True):
                elements[k] = element
        return elements

    def group_feats(self, z: torch.Tensor) -> torch.Tensor:
        """The group elements flattened and concatenated: z `[batch, latents]` -> `[batch, feature_size]`."""
        return torch.cat([element.flatten(1) for element in self.exp(z)], dim=1)  # [batch, sum(m_k * m_k)]

    def hessian_penalty(self) -> torch.Tensor:
        """Mean of `||A_i A_j||_F^2` over all ordered pairs (i, j), the diagonal counted as 0; summed over subgroups.

        It vanishes where all mixed products do, and then the mixed second derivatives of the exponential map at the
        identity do (Zhu et al. 2021, proposition 2). A subgroup with a single latent adds nothing. Returns a scalar.
        """
        return self._mean_over_pairs(lambda products: products)

    def commutator_penalty(self) -> torch.Tensor:
        """The same mean of `||A_i A_j - A_j A_i||_F^2`: zero where the group is commutative (proposition 1).

        This is the paper's definition. The reference code transposes each product instead of exchanging its factors,
        which agrees only for symmetric bases; its commands give the term no weight. Returns a scalar.
        """
        return self._mean_over_pairs(lambda products: products - products.transpose(0, 1))

    def _mean_over_pairs(self, matrix_of_pair) -> torch.Tensor:
        total = self.lie_alg_basis_ls[0].new_zeros(())  # []
        for basis in self.basis():
            latents = len(basis)
            if latents < 2:
                continue
            with torch.autocast(basis.device.type, enabled=False):  # loss terms are in full precision
                products = basis[:, None] @ basis[None, :]  # [latents_k, latents_k, m_k, m_k], entry (i, j) is A_i A_j
            squared_norms = matrix_of_pair(products).square().sum(dim=(2, 3))  # [latents_k, latents_k]
            off_diagonal = squared_norms.sum() - squared_norms.diagonal().sum()  # []
            total = total + off_diagonal / latents**2
        return total
