"""The base of every model: encode, reparametrise, decode, and a loss given as named terms."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from models.diagnostics import Findings, equivariance
from models.losses import capacity_at, dip_terms, gaussian_kl, reconstruction_loss
from models.networks import initialise_xavier, make_networks, reparametrise
from models.total_correlation import total_correlation
from system.errors import UserError

# The flags that the base reads for every model; each is an argument of `VAE.__init__` under the same name.
SHARED_FLAGS = (
    *("beta", "recons_loss_type", "capacity", "capacity_leadin"),
    *("hy_tc", "tc_estimator", "hy_dip", "dip_type", "lambda_d", "lambda_od"),
)


class VAE(nn.Module):
    """Gaussian-encoder VAE. A model overrides what differs; the training loop knows only this interface.

    A subclass overrides `loss_terms` and `loss_weights` where its loss has terms of its own.

    Args:
        channels: image channels (1 or 3).
        latents: length of the code z.
        networks: which encoder and decoder it gets, a key of `models.networks.NETWORKS`, and with which settings. None:
            the subclass sets `self.encoder` and `self.decoder` (or overrides `encode` and `decode`).
        beta: weight of the KL term.
        recons_loss_type: `l2` or `bce`, see `models.losses.reconstruction_loss`.
        capacity: nats C; in place of `beta kl` the loss has `beta |kl - C(step)|`. None for the plain KL term.
        capacity_leadin: steps over which C(step) rises linearly from 0 to the capacity.
        hy_tc: weight of the total correlation of the code, estimated as `tc_estimator` says.
        hy_dip: weight of the DIP penalty of type `dip_type` (`i` or `ii`), within which `lambda_d` weighs the diagonal
            and `lambda_od` the rest.
    """

    # What a model says about itself; docs/models.md and the tests read it.
    equation: ClassVar[str] = "recon + beta kl"  # the loss, in the names of its terms and of its weights
    flags: ClassVar[dict[str, str]] = {  # the flags that it reads, and what each means for it
        "--latents": "length of the code",
        "--recons_loss_type": "reconstruction loss",
        "--beta": "weight of kl",
        "--capacity": "replaces beta kl by beta kl_capacity = beta |kl - C(step)|, in nats",
        "--capacity-leadin": "steps over which C rises from 0 to the capacity",
        "--hy_tc": "adds hy_tc total_correlation",
        "--tc_estimator": "its estimator of q(z)",
        "--hy_dip": "adds hy_dip (lambda_od dip_off_diagonal + lambda_d dip_diagonal)",
        "--dip_type": "its covariance: i, of the means; ii, of all codes",
        "--lambda_od": "its weight off the diagonal",
        "--lambda_d": "its weight on the diagonal",
    }
    own_arguments: ClassVar[tuple[str, ...]] = ()  # of its own flags, those that are arguments under the same name
    refuses: ClassVar[dict[str, tuple[Any, str]]] = {}  # name of an argument -> its neutral value, and what to do
    # Where encoder and decoder trunk lie in the state dict, so that models can start from one another's weights.
    trunk: ClassVar[dict[str, str]] = {"encoder": "encoder", "decoder": "decoder"}
    # Prefixes of the state dict that continue a run but are no part of the reference layout (model.pt).
    training_only: ClassVar[tuple[str, ...]] = ()

    encoder: nn.Module
    decoder: nn.Module

    def __init__(
        self,
        channels: int,
        latents: int,
        beta: float = 1.0,
        recons_loss_type: str = "l2",
        *,
        networks: str | tuple[str, dict] | None = "conv",
        capacity: float | None = None,
        capacity_leadin: int = 100_000,
        hy_tc: float = 0.0,
        tc_estimator: str = "weighted",
        hy_dip: float = 0.0,
        dip_type: str = "ii",
        lambda_d: float = 1.0,
        lambda_od: float = 10.0,
    ):
        super().__init__()
        self.channels = channels
        self.latents = latents
        self.beta = beta
        self.recons_loss_type = recons_loss_type
        self.capacity, self.capacity_leadin = capacity, capacity_leadin
        self.hy_tc, self.tc_estimator = hy_tc, tc_estimator
        self.hy_dip, self.dip_type, self.lambda_d, self.lambda_od = hy_dip, dip_type, lambda_d, lambda_od
        # Size of the training set, for estimators of q(z); the trainer sets it. None: the batch is the whole set.
        self.training_images: int | None = None
        if networks is not None:
            self.encoder, self.decoder = make_networks(networks, channels, latents)
            initialise_xavier(self)

    @classmethod
    def check_args(cls, args: Namespace) -> None:
        """Refuse flags that contradict one another, before any work. Raises UserError naming the flag."""
        for name, (neutral, remedy) in cls.refuses.items():
            if getattr(args, name) != neutral:
                raise UserError(f"--{name} has no meaning for --model {args.model}: {remedy}")

    @classmethod
    def from_args(cls, args: Namespace, channels: int, **given: Any) -> VAE:
        """Build from the command line's namespace, of which it takes `flags`; `given` by the registry goes first."""
        arguments = {name: getattr(args, name) for name in (*SHARED_FLAGS, *cls.own_arguments)}
        return cls(channels, args.latents, **{**arguments, **given})

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """x `[batch, channels, 64, 64]` in [0, 1] -> `mu, logvar`, each `[batch, latents]`."""
        mu, logvar = self.encoder(x).to(x.dtype).chunk(2, dim=1)  # [batch, latents] each
        return mu, logvar

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """z `[batch, latents]` -> logits `[batch, channels, 64, 64]`; their sigmoid is the image."""
        return self.decoder(z)

    @torch.no_grad()
    def mean_code(self, x: torch.Tensor) -> torch.Tensor:
        """x `[n, channels, 64, 64]` -> the mean code `[n, latents]`: what scores are computed from."""
        mu, _ = self.encode(x)  # [n, latents]
        return mu

    @torch.no_grad()
    def image(self, z: torch.Tensor) -> torch.Tensor:
        """z `[n, latents]` -> the image `[n, channels, 64, 64]` in [0, 1]."""
        return torch.sigmoid(self.decode(z))

    @torch.no_grad()
    def reconstructions(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Each way this model reconstructs x, by name: images in [0, 1], `[batch, channels, 64, 64]`."""
        mu, _ = self.encode(x)
        return {"latent": torch.sigmoid(self.decode(mu))}

    def act(self, z: torch.Tensor, moves: Sequence[torch.Tensor]) -> torch.Tensor:
        """Images of the codes after the actions of some moves in turn: logits `[n, channels, 64, 64]`.

        Args:
            z: codes `[n, latents]`.
            moves: how far along each latent, `[n, latents]` each, the first one acting first. Here they add to z.
        """
        return self.decode(z + sum(moves))

    def group_elements(self, z: torch.Tensor) -> list[torch.Tensor]:
        """The matrices that a code stands for, `[n, m_k, m_k]` for each subgroup; a model without a group has none."""
        return []

    @torch.no_grad()
    def diagnostics(self, z: torch.Tensor, pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Findings:
        """What there is to log and draw of this model's inner state.

        Args:
            z: mean codes of images, `[n, latents]`.
            pairs: factor name -> mean codes of images before and after this factor moved, `[n, latents]` each.
        """
        return equivariance(self, pairs)

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
            step: training steps done so far, for schedules; an int64 tensor `[]` in a recorded step.
        """
        mu, logvar = self.encode(x)  # [batch, latents] each
        z = self.sample(mu, logvar, noise)  # [batch, latents]
        return {
            "recon": reconstruction_loss(self.decode(z), x, self.recons_loss_type),  # []
            **self.code_terms(mu, logvar, z, step),
        }

    def code_terms(self, mu: torch.Tensor, logvar: torch.Tensor, z: torch.Tensor, step: int) -> dict[str, torch.Tensor]:
        """The terms of the code that every model has: the KL terms, and the penalties that have a weight.

        In evaluation z is the mean code, for which the estimate of the total correlation comes out too large.

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

    def loss_weights(self) -> dict[str, float]:
        """The weight of each term in the total; a term that is not listed, or that has weight 0, is only watched."""
        return {
            "recon": 1.0,
            "kl" if self.capacity is None else "kl_capacity": self.beta,
            "total_correlation": self.hy_tc,
            "dip_off_diagonal": self.hy_dip * self.lambda_od,
            "dip_diagonal": self.hy_dip * self.lambda_d,
        }

    def forward(
        self, x: torch.Tensor, noise: dict[str, torch.Tensor] | None, step: int, objective: str = "vae"
    ) -> dict[str, torch.Tensor]:
        """The named terms of an objective, with the weighted total under `loss`.

        A module call, so that a data-parallel wrapper sees it. `objective` is a key of `make_optimisers`; this base
        has the single objective `vae`. Arguments as in `loss_terms`.
        """
        return self.with_total(self.loss_terms(x, noise, step), self.loss_weights())

    @staticmethod
    def with_total(terms: dict[str, torch.Tensor], weights: dict[str, float]) -> dict[str, torch.Tensor]:
        """The terms, and under `loss` their sum weighted by `weights`; terms without weight add nothing."""
        weighted = [weight * terms[name] for name, weight in weights.items() if weight != 0]
        return {"loss": torch.stack(weighted).sum(), **terms}

    def make_optimisers(self, learning_rate: float) -> dict[str, torch.optim.Optimizer]:
        """Optimiser of each objective, in the order in which a training step takes them."""
        return {"vae": torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)}

    def reference_state_dict(self) -> dict[str, torch.Tensor]:
        """The state dict in the reference layout: `state_dict()` without what only continues a run."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith(self.training_only)}

    def load_reference_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Load what `reference_state_dict` gave; the rest stays as it is. Raises RuntimeError where names differ."""
        kept = {name: value for name, value in self.state_dict().items() if name.startswith(self.training_only)}
        self.load_state_dict({**state, **kept})
