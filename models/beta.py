"""beta-VAE, and the baselines that differ from it only by a choice of weights."""

from __future__ import annotations

from typing import Any

from models.vae import VAE, without

DEFAULT_CAPACITY = 25.0  # nats: what Burgess et al. (2018) give dSprites


class BetaVAE(VAE):
    """beta-VAE (Higgins et al. 2017)."""


class PlainVAE(VAE):
    """The VAE of Kingma & Welling (2014): the evidence lower bound, nothing weighed. The paper's first ablation."""

    equation = "recon + kl"
    flags = without(VAE.flags, "--beta", "--capacity", "--capacity-leadin")
    refuses = {
        "beta": (1.0, "it is the unweighted bound; use --model beta_celeb"),
        "capacity": (None, "it is the unweighted bound; use --model annealed_vae"),
    }


class AnnealedVAE(VAE):
    """Controlled capacity increase (Burgess et al. 2018, eq. 8): the KL term is held at a capacity that grows.

    Args:
        capacity: nats; None for 25.
        annealed_gamma: weight of the distance between KL term and capacity.
    """

    equation = "recon + annealed_gamma kl_capacity"
    flags = without(VAE.flags, "--beta") | {
        "--capacity": "final capacity C in nats of kl_capacity = |kl - C(step)|; none: 25",
        "--annealed_gamma": "weight of kl_capacity",
    }
    refuses = {"beta": (1.0, "its weight is --annealed_gamma")}

    def __init__(
        self, channels: int, latents: int, annealed_gamma: float = 1000.0, capacity: float | None = None, **shared: Any
    ):
        capacity = DEFAULT_CAPACITY if capacity is None else capacity
        super().__init__(channels, latents, **{**shared, "capacity": capacity, "beta": annealed_gamma})
