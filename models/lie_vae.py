"""Commutative Lie Group VAE (Zhu, Xu, Tao, ICML 2021): the latent code holds the coordinates of a Lie algebra element.

The encoder maps an image to group features e, and e to the posterior of z. The decoder maps z to the group element
`g = exp(sum_j z_j A_j)`, and g to the image. e and g have the same size, `features = sum(subgroup_sizes)`, and a loss
term pulls them together. The names of the modules are those of the reference state dict.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from models.lie_algebra import LieAlgebra
from models.networks import conv_decoder, conv_encoder, initialise_xavier, mlp
from models.vae import VAE, Tensors, reconstruction_loss
from system.errors import UserError

Sizes = Sequence[int]  # of each subgroup


class GroupEncoder(nn.Module):
    """Image -> group features e, by `prior_group` -> posterior of z. Each subgroup's slice of e gives its latents."""

    def __init__(self, channels: int, subgroup_sizes: Sizes, subspace_sizes: Sizes):
        super().__init__()
        self.subgroup_sizes = tuple(subgroup_sizes)
        self.prior_group = conv_encoder(channels, sum(subgroup_sizes))  # -> [batch, features]
        sizes = list(zip(subgroup_sizes, subspace_sizes, strict=True))
        self.to_means = nn.ModuleList(mlp(size, 4 * size, latents) for size, latents in sizes)
        self.to_logvar = nn.ModuleList(mlp(size, 4 * size, latents) for size, latents in sizes)

    def posterior(self, encoder_feats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """e `[batch, features]` -> `mu, logvar`, each `[batch, latents]`."""
        parts = encoder_feats.split(self.subgroup_sizes, dim=1)  # each [batch, subgroup_size_k]
        mu = torch.cat([net(part) for net, part in zip(self.to_means, parts, strict=True)], dim=1)  # [batch, latents]
        logvar = torch.cat([net(part) for net, part in zip(self.to_logvar, parts, strict=True)], dim=1)
        return mu, logvar  # [batch, latents] each


class GroupDecoder(LieAlgebra):
    """z -> group element g, by the Lie algebra -> image, by the network `post_exp`.

    A subclass of `LieAlgebra` because the reference state dict has the basis directly under `decoder`. With `no_exp`,
    an MLP replaces the exponential map (the paper's ablation), and the basis is unused.
    """

    def __init__(self, channels: int, subgroup_sizes: Sizes, subspace_sizes: Sizes, init_scale: float, no_exp: bool):
        super().__init__(subgroup_sizes, subspace_sizes, init_scale)
        self.fake_exp = mlp(self.latents, 4 * self.latents, self.feature_size) if no_exp else None
        self.post_exp = conv_decoder(self.feature_size, channels)  # from g or e, [batch, features]

    def group_feats(self, z: torch.Tensor) -> torch.Tensor:
        """z `[batch, latents]` -> the entries of the group element g, `[batch, features]`."""
        return super().group_feats(z) if self.fake_exp is None else self.fake_exp(z)


class LieGroupVAE(VAE):
    """The model of the paper; `equation` is its eq. 12.

    Args:
        subgroup_sizes, subspace_sizes: see `LieAlgebra`; the number of latents is the sum of the subspace sizes.
        settings: any of `arguments()`.
    """

    subgroup_sizes_ls: Sizes
    subspace_sizes_ls: Sizes
    lie_alg_init_scale: float
    hy_hes: float
    hy_rec: float
    hy_commute: float
    forward_eg_prob: float
    no_exp: bool

    equation = "recon + beta kl + hy_rec group_feats_rec + hy_hes hessian + hy_commute commutator"
    trunk = {"encoder": "encoder.prior_group", "decoder": "decoder.post_exp"}
    encoder: GroupEncoder
    decoder: GroupDecoder

    def __init__(self, channels: int, subgroup_sizes: Sizes = (100,), subspace_sizes: Sizes = (10,), **settings: Any):
        sizes = tuple(subgroup_sizes), tuple(subspace_sizes)
        settings |= dict(zip(("subgroup_sizes_ls", "subspace_sizes_ls"), sizes, strict=True))
        super().__init__(channels, sum(subspace_sizes), networks=None, **settings)
        self.encoder = GroupEncoder(channels, *sizes)
        self.decoder = GroupDecoder(channels, *sizes, self.lie_alg_init_scale, self.no_exp)
        initialise_xavier(self)

    @classmethod
    def from_args(cls, args: Namespace, channels: int, **given: Any) -> LieGroupVAE:
        """As `VAE.from_args`, with the sizes of the subgroups."""
        names = cls.arguments() - {"latents", "subgroup_sizes_ls", "subspace_sizes_ls"}
        settings = {name: getattr(args, name) for name in names} | given
        return cls(channels, args.subgroup_sizes_ls, args.subspace_sizes_ls, **settings)

    @classmethod
    def check_args(cls, args: Namespace) -> None:
        sizes, latents = args.subgroup_sizes_ls, args.subspace_sizes_ls
        for size in sizes:
            if math.isqrt(size) ** 2 != size:
                nearest = round(math.sqrt(size)) ** 2
                raise UserError(f"--subgroup_sizes_ls: {size} is not a perfect square; the nearest one is {nearest}")
        if len(sizes) != len(latents):
            raise UserError(
                f"--subspace_sizes_ls has {len(latents)} entries and --subgroup_sizes_ls has {len(sizes)}: "
                "give one number of latents for each subgroup"
            )
        if sum(latents) != args.latents:
            raise UserError(
                f"--latents is {args.latents} but --subspace_sizes_ls sums to {sum(latents)}: make them equal"
            )

    @property
    def algebra(self) -> LieAlgebra | None:
        return None if self.no_exp else self.decoder

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.encoder.posterior(self.encoder.prior_group(x))  # [batch, latents] each

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return self.decoder.post_exp(self.decoder.group_feats(z))  # [batch, channels, 64, 64]

    @torch.no_grad()
    def reconstructions(self, x: torch.Tensor) -> Tensors:
        """`latent`, decoded from the mean code, and `encoder_feats`, decoded from the encoder's features."""
        encoder_feats = self.encoder.prior_group(x)  # [batch, features]
        mu, _ = self.encoder.posterior(encoder_feats)  # [batch, latents]
        return {"latent": self.image(mu), "encoder_feats": torch.sigmoid(self.decoder.post_exp(encoder_feats))}

    def act(self, z: torch.Tensor, moves: Sequence[torch.Tensor]) -> torch.Tensor:
        """As `VAE.act`; here a move t multiplies the group element from the left by `exp(sum_j t_j A_j)`.

        With `no_exp` there is no group, and t is added to z.
        """
        if self.no_exp:
            return super().act(z, moves)
        elements = self.decoder.exp(z)  # each [n, m_k, m_k]
        for move in moves:
            factors = self.decoder.exp(move)  # each [n, m_k, m_k]
            elements = [factor @ element for factor, element in zip(factors, elements, strict=True)]
        return self.decoder.post_exp(torch.cat([element.flatten(1) for element in elements], dim=1))

    def draw_noise(self, batch: int, generator: torch.Generator) -> Tensors:
        """`eps` `[batch, latents]`, and `from_encoder_feats`, whether this step decodes e instead of g, a bool `[]`."""
        noise = super().draw_noise(batch, generator)
        noise["from_encoder_feats"] = torch.rand((), generator=generator) < self.forward_eg_prob  # []
        return noise

    def loss_terms(self, x: torch.Tensor, noise: Tensors | None, step: int) -> Tensors:
        """The terms of `VAE.loss_terms`, and `group_feats_rec`, `hessian` and `commutator`.

        In training, penalties with weight 0 are not computed; in evaluation (`noise` None) all are. The features that a
        step does not decode get gradient 0 from the image, not None: Adam updates their moments in every step.
        """
        encoder_feats = self.encoder.prior_group(x)  # [batch, features]
        mu, logvar = self.encoder.posterior(encoder_feats)  # [batch, latents] each
        z = self.sample(mu, logvar, noise)  # [batch, latents]
        decoder_feats = self.decoder.group_feats(z)  # [batch, features]
        decoded_feats = decoder_feats  # [batch, features]
        if noise is not None:  # torch.where and not `if`, which would wait for the device
            decoded_feats = torch.where(noise["from_encoder_feats"], encoder_feats, decoder_feats)  # [batch, features]
        x_hat_logits = self.decoder.post_exp(decoded_feats)  # [batch, channels, 64, 64]
        gap = encoder_feats - decoder_feats  # [batch, features]
        terms = {
            "recon": reconstruction_loss(x_hat_logits, x, self.recons_loss_type),  # []
            **self.code_terms(mu, logvar, z, step),
            "group_feats_rec": gap.square().sum(dim=1).mean(),  # []
        }
        if self.hy_hes != 0 or noise is None:
            terms["hessian"] = self.decoder.hessian_penalty()  # []
        if self.hy_commute != 0 or noise is None:
            terms["commutator"] = self.decoder.commutator_penalty()  # []
        return terms
