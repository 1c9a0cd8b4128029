"""Loss terms shared by several models: summed over the pixels or latents of an image, averaged over the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F

RECONSTRUCTION_LOSSES = ("l2", "bce")


def reconstruction_loss(x_hat_logits: torch.Tensor, x: torch.Tensor, kind: str) -> torch.Tensor:
    """Reconstruction error summed over pixels, mean over the batch: a scalar, in nats for `bce`.

    `bce` is the binary cross-entropy on logits (a Bernoulli decoder); `l2` the squared error of `sigmoid(logits)`.

    Args:
        x_hat_logits, x: `[batch, channels, height, width]`; `x` in [0, 1].
    """
    x_hat_logits = x_hat_logits.to(x.dtype)  # [batch, channels, height, width]; bfloat16 under autocast
    if kind == "bce":
        total = F.binary_cross_entropy_with_logits(x_hat_logits, x, reduction="sum")  # []
    elif kind == "l2":
        total = F.mse_loss(torch.sigmoid(x_hat_logits), x, reduction="sum")  # []
    else:
        raise ValueError(f"unknown reconstruction loss {kind!r}: one of {RECONSTRUCTION_LOSSES}")
    return total / len(x)  # []


def gaussian_kl(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """KL(N(mu, exp(logvar)) || N(0, 1)) in nats, per latent and mean over the batch.

    Kingma & Welling (2014), appendix B: `-1/2 (1 + logvar - mu^2 - exp(logvar))`.

    Args:
        mu, logvar: `[batch, latents]`.
    Returns:
        `[latents]`; its sum is the KL term of the evidence lower bound.
    """
    per_image = -0.5 * (1 + logvar - mu.square() - logvar.exp())  # [batch, latents]
    return per_image.mean(dim=0)  # [latents]


def capacity_at(step: int | torch.Tensor, capacity: float, leadin: int) -> float | torch.Tensor:
    """KL capacity C(step) in nats: from 0 linearly to `capacity` over `leadin` steps (Burgess et al. 2018, eq. 8).

    Where `step` is an int64 tensor `[]`, so is the result, in float32: no value is read from the device.
    """
    if isinstance(step, torch.Tensor):
        return (capacity * (step.double() / leadin).clamp(max=1.0)).float()  # []
    return capacity * min(step / leadin, 1.0)


def dip_terms(mu: torch.Tensor, logvar: torch.Tensor, dip_type: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared distance of the covariance of the code from the identity (Kumar et al. 2018, eqs. 6 and 7).

    Type `i` uses the covariance of the means; type `ii` that of the aggregate posterior,
    `Cov[mu] + E[diag(exp(logvar))]`. Covariances are divided by the batch size, as in the reference implementation.

    Args:
        mu, logvar: `[batch, latents]`.
    Returns:
        Two scalars: the sums of the squared entries off the diagonal, and of `(diagonal - 1)^2`.
    """
    centred = mu - mu.mean(dim=0)  # [batch, latents]
    with torch.autocast(mu.device.type, enabled=False):  # penalties are in full precision
        covariance = centred.T @ centred / len(mu)  # [latents, latents]
    diagonal = covariance.diagonal()  # [latents]
    off_diagonal = covariance.square().sum() - diagonal.square().sum()  # []
    if dip_type == "ii":
        diagonal = diagonal + logvar.exp().mean(dim=0)  # [latents]
    elif dip_type != "i":
        raise ValueError(f"unknown DIP type {dip_type!r}: 'i' or 'ii'")
    return off_diagonal, (diagonal - 1).square().sum()  # [] each
