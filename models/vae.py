"""The base of every model: encode, reparametrise, decode, and a loss given as named terms."""

from __future__ import annotations

from argparse import Namespace

import torch
from torch import nn

from models.losses import gaussian_kl, reconstruction_loss
from models.networks import reparametrise


class VAE(nn.Module):
    """Gaussian-encoder VAE. A model overrides what differs; the training loop knows only this interface.

    A subclass sets `self.encoder` and `self.decoder` (or overrides `encode` and `decode`), and overrides `loss_terms`
    and `loss_weights` where its loss has terms of its own.

    Args:
        channels: image channels (1 or 3).
        latents: length of the code z.
        beta: weight of the KL term.
        recons_loss_type: `l2` or `bce`, see `models.losses.reconstruction_loss`.
    """

    def __init__(self, channels: int, latents: int, beta: float = 1.0, recons_loss_type: str = "l2"):
        super().__init__()
        self.channels = channels
        self.latents = latents
        self.beta = beta
        self.recons_loss_type = recons_loss_type

    @classmethod
    def check_args(cls, args: Namespace) -> None:
        """Refuse flags that contradict one another, before any work. Raises UserError naming the flag."""

    @classmethod
    def from_args(cls, args: Namespace, channels: int) -> VAE:
        """Build from the command line's namespace; the only place where a model reads it."""
        return cls(channels, args.latents, args.beta, args.recons_loss_type)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x `[batch, channels, 64, 64]` in [0, 1] -> `mu, logvar`, each `[batch, latents]`."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)  # [batch, latents] each
        return mu, logvar

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """z `[batch, latents]` -> logits `[batch, channels, 64, 64]`; their sigmoid is the image."""
        return self.decoder(z)

    @torch.no_grad()
    def reconstructions(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Each way this model reconstructs x, by name: images in [0, 1], `[batch, channels, 64, 64]`."""
        mu, _ = self.encode(x)
        return {"latent": torch.sigmoid(self.decode(mu))}

    def draw_noise(self, batch: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        """All random numbers of one training step, for the whole batch, on the CPU.

        Entries with a leading batch dimension may be sliced together with the images; the rest hold for the whole step.
        """
        return {"eps": torch.randn(batch, self.latents, generator=generator)}  # [batch, latents]

    def sample(self, mu: torch.Tensor, logvar: torch.Tensor, noise: dict[str, torch.Tensor] | None) -> torch.Tensor:
        """The code `[batch, latents]`: reparametrised with `noise`, or the mean where there is none (evaluation)."""
        return mu if noise is None else reparametrise(mu, logvar, noise["eps"])

    def loss_terms(self, x: torch.Tensor, noise: dict[str, torch.Tensor] | None, step: int) -> dict[str, torch.Tensor]:
        """Named terms, unweighted: scalars (nats for `kl`), and `kl_per_latent` `[latents]`.

        Args:
            x: images `[batch, channels, 64, 64]` in [0, 1].
            noise: what `draw_noise` gave, on the device of x; None evaluates at the mean code, deterministically.
            step: training steps done so far, for schedules.
        """
        mu, logvar = self.encode(x)  # [batch, latents] each
        z = self.sample(mu, logvar, noise)  # [batch, latents]
        kl_per_latent = gaussian_kl(mu, logvar)  # [latents]
        return {
            "recon": reconstruction_loss(self.decode(z), x, self.recons_loss_type),  # []
            "kl": kl_per_latent.sum(),  # []
            "kl_per_latent": kl_per_latent,
        }

    def loss_weights(self) -> dict[str, float]:
        """The weight of each term in the total; a term that is not listed is only watched."""
        return {"recon": 1.0, "kl": self.beta}

    def forward(
        self, x: torch.Tensor, noise: dict[str, torch.Tensor] | None, step: int, objective: str = "vae"
    ) -> dict[str, torch.Tensor]:
        """The named terms of an objective, with the weighted total under `loss`.

        A module call, so that a data-parallel wrapper sees it. `objective` is a key of `make_optimisers`; this base
        has the single objective `vae`. Arguments as in `loss_terms`.
        """
        terms = self.loss_terms(x, noise, step)
        weighted = [weight * terms[name] for name, weight in self.loss_weights().items() if weight != 0]
        return {"loss": torch.stack(weighted).sum(), **terms}

    def make_optimisers(self, learning_rate: float) -> dict[str, torch.optim.Optimizer]:
        """Optimiser of each objective, in the order in which a training step takes them."""
        return {"vae": torch.optim.Adam(self.parameters(), lr=learning_rate)}
