"""beta-TCVAE (Chen, Li, Grosse, Duvenaud, NeurIPS 2018): the KL term in three parts, the total correlation weighed."""

from __future__ import annotations

from typing import Any

import torch

from models.penalties import aggregate_log_densities, log_normal
from models.vae import VAE, without


class BetaTCVAE(VAE):
    """`E KL(q(z|x)||p(z)) = mutual_information + total_correlation + dimension_kl` (eq. 2 of the paper), all estimated.

    - `mutual_information`: `log q(z|x) - log q(z)`, between image and code.
    - `total_correlation`: `log q(z) - sum_j log q(z_j)`.
    - `dimension_kl`: `sum_j log q(z_j) - log p(z_j)`.

    Args:
        tc_beta: weight of the total correlation; `beta` weighs the other two.
    """

    equation = "recon + beta mutual_information + tc_beta total_correlation + beta dimension_kl"
    flags = without(VAE.flags, "--capacity", "--capacity-leadin", "--hy_tc") | {
        "--beta": "weight of mutual_information and of dimension_kl",
        "--tc_beta": "weight of total_correlation",
        "--tc_estimator": "estimator of q(z)",
    }
    refuses = {
        "capacity": (None, "its KL term is split in three; leave it out"),
        "hy_tc": (0.0, "the weight of its total correlation is --tc_beta"),
    }

    def __init__(self, channels: int, latents: int, tc_beta: float = 6.0, **shared: Any):
        super().__init__(channels, latents, **shared)
        self.tc_beta = tc_beta

    def code_terms(self, mu: torch.Tensor, logvar: torch.Tensor, z: torch.Tensor, step: int) -> dict[str, torch.Tensor]:
        terms = super().code_terms(mu, logvar, z, step)
        log_qz, log_qz_product = aggregate_log_densities(z, mu, logvar, self.training_images, self.tc_estimator)
        log_qz_given_x = log_normal(z, mu, logvar).sum(dim=1)  # [batch]
        log_pz = log_normal(z, torch.zeros_like(z), torch.zeros_like(z)).sum(dim=1)  # [batch]
        terms["mutual_information"] = (log_qz_given_x - log_qz).mean()  # []
        terms["total_correlation"] = (log_qz - log_qz_product).mean()  # []
        terms["dimension_kl"] = (log_qz_product - log_pz).mean()  # []
        return terms

    def loss_weights(self) -> dict[str, float]:
        weights = {**super().loss_weights(), "total_correlation": self.tc_beta}
        weights |= {"kl": 0.0, "mutual_information": self.beta, "dimension_kl": self.beta}
        return weights
