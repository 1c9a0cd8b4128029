"""Two models of the total correlation: beta-TCVAE estimates it from the batch, FactorVAE by a discriminator.

beta-TCVAE: Chen, Li, Grosse, Duvenaud, NeurIPS 2018. FactorVAE: Kim & Mnih, ICML 2018.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from models.networks import mlp
from models.penalties import aggregate_log_densities, log_normal
from models.vae import VAE, Tensors


class BetaTCVAE(VAE):
    """`E KL(q(z|x)||p(z)) = mutual_information + total_correlation + dimension_kl` (eq. 2 of the paper), all estimated.

    - `mutual_information`: `log q(z|x) - log q(z)`, between image and code.
    - `total_correlation`: `log q(z) - sum_j log q(z_j)`.
    - `dimension_kl`: `sum_j log q(z_j) - log p(z_j)`.
    """

    tc_beta: float

    equation = "recon + beta mutual_information + tc_beta total_correlation + beta dimension_kl"

    def code_terms(self, mu: torch.Tensor, logvar: torch.Tensor, z: torch.Tensor, step: int) -> Tensors:
        terms = super().code_terms(mu, logvar, z, step)
        log_qz, log_qz_product = aggregate_log_densities(z, mu, logvar, self.training_images, self.tc_estimator)
        log_qz_given_x = log_normal(z, mu, logvar).sum(dim=1)  # [batch]
        log_pz = log_normal(z, torch.zeros_like(z), torch.zeros_like(z)).sum(dim=1)  # [batch]
        terms["mutual_information"] = (log_qz_given_x - log_qz).mean()  # []
        terms["total_correlation"] = (log_qz - log_qz_product).mean()  # []
        terms["dimension_kl"] = (log_qz_product - log_pz).mean()  # []
        return terms


class FactorVAE(VAE):
    """beta-VAE with a discriminator, its objective and its optimiser.

    The discriminator tells codes of q(z) (class 0) from codes of prod_j q(z_j) (class 1), which have each latent
    permuted over the batch (Kim & Mnih, algorithm 1): `[batch, latents] -> [batch, 2]` logits.

    The objective `vae` adds `factor_vae_gamma density_ratio_tc`, the mean of `D_0(z) - D_1(z)` over the batch: the
    logits' estimate of the total correlation. The objective `discriminator`, taken next, is the cross-entropy
    `1/2 real + 1/2 permuted` on codes of the updated encoder, which it leaves alone.

    Args:
        discriminator_width: of its hidden layers.
    """

    factor_vae_gamma: float

    equation = "recon + beta kl + factor_vae_gamma density_ratio_tc"
    training_only = ("discriminator.",)

    def __init__(self, channels: int, latents: int, *, discriminator_width: int = 1000, **settings: Any):
        super().__init__(channels, latents, **settings)
        layers = mlp(latents, *[discriminator_width] * 5, 2, activation=lambda: nn.LeakyReLU(0.2))
        self.discriminator = nn.Sequential(OrderedDict(net=layers))  # as saved runs name it

    def draw_noise(self, batch: int, generator: torch.Generator) -> Tensors:
        """`eps`, and `permutation_keys` `[batch, latents]`: each latent is put in the order of its keys.

        Keys rather than the permutations themselves, because a part of the batch then has its own permutations.
        """
        noise = super().draw_noise(batch, generator)
        noise["permutation_keys"] = torch.rand(batch, self.latents, generator=generator)  # [batch, latents]
        return noise

    def code_terms(self, mu: torch.Tensor, logvar: torch.Tensor, z: torch.Tensor, step: int) -> Tensors:
        terms = super().code_terms(mu, logvar, z, step)
        # Its weights are constants here: no gradient of theirs is computed only to be thrown away.
        constants = {name: parameter.detach() for name, parameter in self.discriminator.named_parameters()}
        logits = torch.func.functional_call(self.discriminator, constants, (z,))  # [batch, 2]
        terms["density_ratio_tc"] = (logits[:, 0] - logits[:, 1]).mean()  # []
        return terms

    def forward(self, x: torch.Tensor, noise: Tensors | None, step: int, objective: str = "vae") -> Tensors:
        if objective == "discriminator":
            return self.with_total(self.discriminator_terms(x, noise or {}), {"real": 0.5, "permuted": 0.5})
        return super().forward(x, noise, step, objective)

    def discriminator_terms(self, x: torch.Tensor, noise: Tensors) -> Tensors:
        """Cross-entropies in nats of the codes of x as they are (`real`), and of the permuted ones (`permuted`)."""
        with torch.no_grad():
            z = self.sample(*self.encode(x), noise)  # [batch, latents]
            permutations = noise["permutation_keys"].argsort(dim=0, stable=True)  # [batch, latents]
            codes = torch.cat([z, z.gather(0, permutations)])  # [2 * batch, latents]
        real, permuted = self.discriminator(codes).chunk(2)  # [batch, 2] each
        of_real = torch.zeros(len(z), dtype=torch.long, device=z.device)  # [batch]
        return {"real": F.cross_entropy(real, of_real), "permuted": F.cross_entropy(permuted, of_real + 1)}

    def make_optimisers(self, learning_rate: float) -> dict[str, torch.optim.Optimizer]:
        networks = [*self.encoder.parameters(), *self.decoder.parameters()]
        return {
            "vae": torch.optim.Adam(networks, lr=learning_rate, fused=True),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), lr=1e-4, betas=(0.5, 0.9), fused=True),
        }
