"""What flags add to the loss of any model: the total correlation, the DIP penalty, the capacity of the KL term.

The total correlation (Chen et al. 2018) needs the aggregate posterior q(z), which is estimated from a batch:

`q(z) = 1/N sum_n q(z|x_n)` is a mean over all N training images, of which a batch has B. With z_i drawn from q(z|x_i),
both estimators are weighted sums of the densities q(z_i|x_j) of the batch:

- `weighted` (minibatch weighted sampling, eq. 5 there): `1/(N B) sum_j q(z_i|x_j)`. N shifts its logarithm by
  log N, so it changes the reported total correlation, but no gradient.
- `stratified` (minibatch stratified sampling, appendix C.2):
  `1/N q(z_i|x_i) + (N-1)/(N (B-1)) sum_{j != i} q(z_i|x_j)`, unbiased for q(z_i), and exact when the batch holds all
  images. The paper's form gives one of the other images a different weight; this is the mean of that form over the
  choice of that image: the same expectation, less variance.
"""

from __future__ import annotations

import math

import torch


def log_normal(z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """log N(z; mu, exp(logvar)) in nats, elementwise over shapes that broadcast."""
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mu).square() * torch.exp(-logvar))


def aggregate_log_densities(
    z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor, images: int | None, estimator: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimates of `log q(z)` and of `sum_j log q(z_j)`, in nats; see the module docstring.

    Args:
        z, mu, logvar: `[batch, latents]`, row i of z drawn from N(mu_i, exp(logvar_i)).
        images: N, size of the training set; None: the batch is the training set.
        estimator: `weighted` or `stratified`.
    Returns:
        `log_qz, log_qz_product`, each `[batch]`.
    """
    batch = len(z)
    images = max(images or batch, batch)
    if estimator == "weighted":
        weights = z.new_full((batch, batch), 1 / (images * batch))  # [batch, batch], of q(z_i|x_j)
    elif estimator == "stratified":
        weights = z.new_full((batch, batch), (images - 1) / (images * max(batch - 1, 1)))  # [batch, batch]
        weights.fill_diagonal_(1 / images)
    else:
        raise ValueError(f"unknown estimator {estimator!r}: 'weighted' or 'stratified'")
    log_weights = weights.log()  # [batch, batch]
    log_q = log_normal(z[:, None], mu[None], logvar[None])  # [batch, batch, latents], entry (i, j): q(z_i|x_j)
    log_qz = torch.logsumexp(log_q.sum(dim=2) + log_weights, dim=1)  # [batch]
    log_qz_per_latent = torch.logsumexp(log_q + log_weights[:, :, None], dim=1)  # [batch, latents]
    return log_qz, log_qz_per_latent.sum(dim=1)


def total_correlation(
    z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor, images: int | None, estimator: str
) -> torch.Tensor:
    """Estimate of `KL(q(z) || prod_j q(z_j))` in nats, a scalar. Arguments as in `aggregate_log_densities`."""
    log_qz, log_qz_product = aggregate_log_densities(z, mu, logvar, images, estimator)  # [batch] each
    return (log_qz - log_qz_product).mean()


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
    covariance = centred.T @ centred / len(mu)  # [latents, latents]
    diagonal = covariance.diagonal()  # [latents]
    off_diagonal = covariance.square().sum() - diagonal.square().sum()  # []
    if dip_type == "ii":
        diagonal = diagonal + logvar.exp().mean(dim=0)  # [latents]
    elif dip_type != "i":
        raise ValueError(f"unknown DIP type {dip_type!r}: 'i' or 'ii'")
    return off_diagonal, (diagonal - 1).square().sum()  # [] each


def capacity_at(step: int | torch.Tensor, capacity: float, leadin: int) -> float | torch.Tensor:
    """KL capacity C(step) in nats: from 0 linearly to `capacity` over `leadin` steps (Burgess et al. 2018, eq. 8).

    Where `step` is an int64 tensor `[]`, so is the result, in float32: no value is read from the device.
    """
    if isinstance(step, torch.Tensor):
        return (capacity * (step.double() / leadin).clamp(max=1.0)).float()  # []
    return capacity * min(step / leadin, 1.0)
