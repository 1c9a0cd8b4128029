"""DIP-VAE (Kumar, Sattigeri, Balakrishnan, ICLR 2018): the code's covariance is pulled towards the identity."""

from __future__ import annotations

from typing import Any

from models.vae import VAE, without


class DIPVAE(VAE):
    """beta-VAE with the penalty that `--hy_dip` gives any model, always on.

    Args:
        dip_type: `i`, the covariance of the means; `ii`, that of the aggregate posterior.
    """

    equation = "recon + beta kl + lambda_od dip_off_diagonal + lambda_d dip_diagonal"
    flags = without(VAE.flags, "--hy_dip", "--dip_type") | {
        "--lambda_od": "weight of dip_off_diagonal, the squared covariances of the code",
        "--lambda_d": "weight of dip_diagonal, the squared distances of its variances from 1",
    }
    refuses = {"hy_dip": (0.0, "the penalty is part of it, weighed by --lambda_od and --lambda_d")}

    def __init__(self, channels: int, latents: int, dip_type: str = "ii", **shared: Any):
        super().__init__(channels, latents, **{**shared, "hy_dip": 1.0, "dip_type": dip_type})
