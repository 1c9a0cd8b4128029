"""The registry of models, which maps the names that `--model` takes to classes. A new model is one line in MODELS."""

from __future__ import annotations

import importlib
from argparse import Namespace
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from models.vae import VAE


class Model(NamedTuple):
    """An entry of the registry: a class, its networks, and fixed settings.

    where: `module:class`, as text, so that `--help` does not import torch.
    networks: a key of `models.networks.NETWORKS`; None for a class that makes its own.
    settings: keyword arguments of the class that no flag changes.
    """

    where: str
    networks: str | None = "conv"
    settings: Mapping[str, Any] = {}


MODELS: dict[str, Model] = {
    "lie_group": Model("models.lie_vae:LieGroupVAE", None),
    "bottleneck_vae": Model("models.lie_vae:BottleneckVAE", None),
    "vae": Model("models.beta:PlainVAE"),
    "beta_shapes": Model("models.beta:BetaVAE", "mlp"),
    "beta_celeb": Model("models.beta:BetaVAE"),
    "annealed_vae": Model("models.beta:AnnealedVAE"),
    "beta_tcvae": Model("models.tc_vae:BetaTCVAE"),
    "dip_vae_i": Model("models.dip_vae:DIPVAE", "mlp", {"dip_type": "i"}),
    "dip_vae_ii": Model("models.dip_vae:DIPVAE", "mlp", {"dip_type": "ii"}),
    "dip_conv_vae_i": Model("models.dip_vae:DIPVAE", "conv", {"dip_type": "i"}),
    "dip_conv_vae_ii": Model("models.dip_vae:DIPVAE", "conv", {"dip_type": "ii"}),
    "factor_vae": Model("models.factor_vae:FactorVAE", "mlp"),
    "factor_conv_vae": Model("models.factor_vae:FactorVAE"),
}


def model_class(name: str) -> type[VAE]:
    """The class registered as `name`. Raises KeyError for an unknown one."""
    module, _, attribute = MODELS[name].where.partition(":")
    return getattr(importlib.import_module(module), attribute)


def unread_flags(name: str, given: Collection[str]) -> list[str]:
    """Those of the flags `given` (names in the namespace) that other models read, and this one does not."""
    own, *others = (set(model_class(n).arguments()) for n in (name, *MODELS))
    return sorted(set().union(*others) & set(given) - own)


def build_model(args: Namespace, channels: int) -> VAE:
    """The model that `args.model` names, with newly initialised weights, for images of 1 or 3 channels."""
    from models.networks import channels_last  # imports torch

    _, networks, settings = MODELS[args.model]
    given = {**settings, "networks": networks} if networks else settings
    return channels_last(model_class(args.model).from_args(args, channels, **given))
