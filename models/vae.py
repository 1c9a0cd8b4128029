"""The base class of every model: encode, sample, decode, and a loss made of named terms."""

from __future__ import annotations

import inspect
import math
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from models.diagnostics import Findings, find
from models.lie_algebra import LieAlgebra
from models.networks import NETWORKS, Network, initialise_xavier
from models.penalties import capacity_at, dip_terms, total_correlation
from models.settings import SETTINGS

Tensors = dict[str, torch.Tensor]  # by name
PENALTIES = "hy_tc total_correlation + hy_dip lambda_od dip_off_diagonal + hy_dip lambda_d dip_diagonal"  # of any model


class VAE(nn.Module):
    """VAE with a Gaussian posterior and a standard normal prior. The training loop uses only this interface.

    To add a loss term, a subclass overrides `loss_terms` (or `code_terms`), and names it in `equation`.

    Args:
        channels: image channels (1 or 3).
        latents: length of the code z.
        networks: the encoder and decoder, a key of `models.networks.NETWORKS`, alone or with their keyword arguments,
            such as `("mlp", {"width": 100})`. None: the subclass makes them, or overrides `encode` and `decode`.
        settings: any of `arguments()`, such as `beta=4.0`; `models.settings` has their defaults.
    Raises:
        TypeError: a setting that the model does not read.
    """

    latents: int
    recons_loss_type: str  # `l2` or `bce`, see `reconstruction_loss`
    beta: float
    capacity: float | None  # C in nats: `beta |kl - C(step)|` in place of `beta kl`
    capacity_leadin: int
    hy_tc: float
    tc_estimator: str  # see `models.penalties`
    hy_dip: float
    dip_type: str  # see `models.penalties.dip_terms`
    lambda_od: float
    lambda_d: float

    # The loss: terms, each after the settings that weigh it. With a capacity, `kl` stands for `kl_capacity`.
    equation: str = "recon + beta kl"
    # Prefixes of the encoder and the decoder in the state dict, for --base-model-path.
    trunk: ClassVar[dict[str, str]] = {"encoder": "encoder", "decoder": "decoder"}
    # Prefixes of the state dict that only training needs: in training.pt, but not in model.pt.
    training_only: ClassVar[tuple[str, ...]] = ()

    encoder: nn.Module
    decoder: nn.Module

    def __init__(
        self, channels: int, latents: int, *, networks: str | tuple[str, dict] | None = "conv", **settings: Any
    ):
        super().__init__()
        self.channels = channels
        defaults = {name: SETTINGS[name].default for name in self.arguments()}
        if unknown := settings.keys() - defaults.keys():
            raise TypeError(f"{type(self).__name__} does not read {', '.join(sorted(unknown))}")
        for name, value in {**defaults, "latents": latents, **settings}.items():
            setattr(self, name, value)
        # Size of the training set, for estimators of q(z). Set by the trainer; None: the batch is the training set.
        self.training_images: int | None = None
        if networks is not None:
            kind, widths = (networks, {}) if isinstance(networks, str) else networks
            encoder, decoder = NETWORKS[kind]
            self.encoder, self.decoder = encoder(channels, 2 * latents, **widths), decoder(latents, channels, **widths)
            initialise_xavier(self)

    @classmethod
    def arguments(cls) -> set[str]:
        """The settings that the model reads: annotations of its class and its base classes in `models.settings`."""
        return set().union(*map(inspect.get_annotations, cls.__mro__)) & SETTINGS.keys()

    @classmethod
    def check_args(cls, args: Namespace) -> None:
        """Raise UserError, naming the flag and the remedy, if flags contradict one another."""

    @classmethod
    def from_args(cls, args: Namespace, channels: int, **given: Any) -> VAE:
        """The model that the flags describe, but for the arguments `given`, which the registry fixes."""
        return cls(channels, **{name: getattr(args, name) for name in cls.arguments()} | given)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x `[batch, channels, 64, 64]` in [0, 1] -> `mu, logvar`, each `[batch, latents]`."""
        mu, logvar = self.encoder(x).chunk(2, dim=1)  # [batch, latents] each
        return mu, logvar

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """z `[batch, latents]` -> logits `[batch, channels, 64, 64]`; their sigmoid is the image."""
        return self.decoder(z)

    @torch.no_grad()
    def mean_code(self, x: torch.Tensor) -> torch.Tensor:
        """x `[n, channels, 64, 64]` -> mu `[n, latents]`, from which scores are computed."""
        return self.encode(x)[0]  # [n, latents]

    @torch.no_grad()
    def image(self, z: torch.Tensor) -> torch.Tensor:
        """z `[n, latents]` -> the image `[n, channels, 64, 64]` in [0, 1]."""
        return torch.sigmoid(self.decode(z))

    @torch.no_grad()
    def reconstructions(self, x: torch.Tensor) -> Tensors:
        """The reconstructions of x to draw, by name: images in [0, 1], `[batch, channels, 64, 64]`."""
        return {"latent": self.image(self.mean_code(x))}

    def act(self, z: torch.Tensor, moves: Sequence[torch.Tensor]) -> torch.Tensor:
        """Decode codes after moving them: logits `[n, channels, 64, 64]`.

        Args:
            z: codes `[n, latents]`.
            moves: distances along the latents, `[n, latents]` each, applied in order. Here they are added to z.
        """
        return self.decode(z + sum(moves))  # [n, channels, 64, 64]

    @property
    def algebra(self) -> LieAlgebra | None:
        """The Lie algebra whose group acts on the codes; None for a model without one."""
        return None

    @torch.no_grad()
    def group_elements(self, z: torch.Tensor) -> list[torch.Tensor]:
        """The group elements of codes, `[n, m_k, m_k]` for each subgroup, without gradients; empty without a group."""
        return [] if self.algebra is None else self.algebra.exp(z)

    @torch.no_grad()
    def diagnostics(self, z: torch.Tensor, pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Findings:
        """Measures of this model to log and to draw with the pictures, see `models.diagnostics.find`."""
        return find(self, z, pairs)

    def draw_noise(self, batch: int, generator: torch.Generator) -> Tensors:
        """All random numbers of one training step, for the whole batch, on the CPU.

        Entries with a batch dimension may be sliced together with the images; scalars apply to the whole batch.
        """
        return {"eps": torch.randn(batch, self.latents, generator=generator)}  # [batch, latents]

    def sample(self, mu: torch.Tensor, logvar: torch.Tensor, noise: Tensors | None) -> torch.Tensor:
        """The code z `[batch, latents]`: reparametrised with `noise`, or mu if it is None (evaluation)."""
        return mu if noise is None else mu + torch.exp(0.5 * logvar) * noise["eps"]  # [batch, latents]

    def loss_terms(self, x: torch.Tensor, noise: Tensors | None, step: int) -> Tensors:
        """Named terms, unweighted: scalars (nats for `kl`), and `kl_per_latent` `[latents]`.

        Args:
            x: images `[batch, channels, 64, 64]` in [0, 1].
            noise: the result of `draw_noise`, on the device of x; None: evaluation, with z = mu.
            step: training steps done so far, for schedules; a number or an int64 tensor `[]`.
        """
        mu, logvar = self.encode(x)  # [batch, latents] each
        z = self.sample(mu, logvar, noise)  # [batch, latents]
        return {
            "recon": reconstruction_loss(self.decode(z), x, self.recons_loss_type),  # []
            **self.code_terms(mu, logvar, z, step),
        }

    def code_terms(self, mu: torch.Tensor, logvar: torch.Tensor, z: torch.Tensor, step: int) -> Tensors:
        """The terms that depend on the code alone: the KL terms, and the penalties whose weight is not 0.

        In evaluation z is mu, for which the total correlation is overestimated.

        Args:
            mu, logvar, z: `[batch, latents]`.
            step: for the capacity's schedule.
        """
        kl_per_latent = gaussian_kl(mu, logvar)  # [latents]
        kl = kl_per_latent.sum()  # []
        terms = {"kl": kl, "kl_per_latent": kl_per_latent}
        if self.capacity is not None:
            terms["kl_capacity"] = (kl - capacity_at(step, self.capacity, self.capacity_leadin)).abs()  # []
        if self.hy_tc != 0:
            terms["total_correlation"] = total_correlation(z, mu, logvar, self.training_images, self.tc_estimator)  # []
        if self.hy_dip != 0:
            terms["dip_off_diagonal"], terms["dip_diagonal"] = dip_terms(mu, logvar, self.dip_type)  # [] each
        return terms

    def loss_factors(self) -> dict[str, list[str]]:
        """Term -> the settings whose product weighs it in the loss, by `equation` and PENALTIES."""
        factors = {}
        for product in f"{PENALTIES} + {self.equation}".split(" + "):
            *names, term = product.split()
            factors["kl_capacity" if term == "kl" and self.capacity is not None else term] = names
        return factors

    def loss_weights(self) -> dict[str, float]:
        """The weight of each term of the loss. Terms that are not there, or have weight 0, are only logged."""
        weights = dict.fromkeys(("recon", "kl", "kl_capacity"), 0.0)  # these are summed first
        for term, names in self.loss_factors().items():
            weights[term] = math.prod([getattr(self, name) for name in names])  # a list: one graph
        return weights

    def trained_equation(self) -> str:
        """The loss with these settings, in the form of `equation`: without terms of weight 0."""
        weights = self.loss_weights()
        products = [" ".join([*names, term]) for term, names in self.loss_factors().items() if weights[term] != 0]
        return " + ".join(sorted(products, key=lambda product: product in PENALTIES))  # penalties last

    def forward(self, x: torch.Tensor, noise: Tensors | None, step: int, objective: str = "vae") -> Tensors:
        """The named terms of an objective, and under `loss` their weighted sum.

        Args:
            x, noise, step: see `loss_terms`.
            objective: a key of `make_optimisers`. The base class has one, `vae`.
        """
        return self.with_total(self.loss_terms(x, noise, step), self.loss_weights())

    @staticmethod
    def with_total(terms: Tensors, weights: dict[str, float]) -> Tensors:
        """The terms, and under `loss` their weighted sum, `[]`."""
        weighted = [weight * terms[name] for name, weight in weights.items() if weight != 0]  # each []
        return {"loss": torch.stack(weighted).sum(), **terms}

    def set_precision(self, precision: str) -> None:
        """Set the precision of training: `fp32`, `tf32` (matrix products in TF32 on a GPU) or `bf16` (see `Network`).

        The choice between fp32 and tf32 holds for the whole process.
        """
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        for module in self.modules():
            if isinstance(module, Network):
                module.rounded = precision == "bf16"

    def make_optimisers(self, learning_rate: float) -> dict[str, torch.optim.Optimizer]:
        """The optimiser of each objective. A training step updates them in this order."""
        return {"vae": torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)}

    def reference_state_dict(self) -> Tensors:
        """The state dict in the reference layout: `state_dict()` without `training_only`."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith(self.training_only)}

    def load_reference_state_dict(self, state: Tensors) -> None:
        """Load a `reference_state_dict`; the rest is unchanged. Raises RuntimeError if names or shapes differ."""
        kept = {name: value for name, value in self.state_dict().items() if name.startswith(self.training_only)}
        self.load_state_dict({**state, **kept})


class AnnealedVAE(VAE):
    """The KL term is held at a capacity that rises (Burgess et al. 2018): to 25 nats, what they give dSprites."""

    annealed_gamma: float

    equation = "recon + annealed_gamma kl_capacity"

    def __init__(self, channels: int, latents: int, *, capacity: float | None = None, **settings: Any):
        super().__init__(channels, latents, capacity=25.0 if capacity is None else capacity, **settings)


def reconstruction_loss(x_hat_logits: torch.Tensor, x: torch.Tensor, kind: str) -> torch.Tensor:
    """Reconstruction error summed over pixels, mean over the batch: a scalar, in nats for `bce`.

    `bce` is the binary cross-entropy on logits (a Bernoulli decoder); `l2` the squared error of `sigmoid(logits)`.

    Args:
        x_hat_logits, x: `[batch, channels, height, width]`; `x` in [0, 1].
    """
    if kind == "bce":
        total = F.binary_cross_entropy_with_logits(x_hat_logits, x, reduction="sum")  # []
    elif kind == "l2":
        total = F.mse_loss(torch.sigmoid(x_hat_logits), x, reduction="sum")  # []
    else:
        raise ValueError(f"unknown reconstruction loss {kind!r}: 'l2' or 'bce'")
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
