"""Models by name. The one place where a new model is added: its name and where its class is."""

from __future__ import annotations

import importlib
from argparse import Namespace
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.vae import VAE

# As text, so that the command line can list the names without importing torch.
MODELS: dict[str, str] = {
    "lie_group": "models.lie_vae:LieGroupVAE",
    "bottleneck_vae": "models.lie_vae:BottleneckVAE",
    "vae": "models.beta:PlainVAE",
    "beta_shapes": "models.beta:BetaShapes",
    "beta_celeb": "models.beta:BetaCeleb",
    "annealed_vae": "models.beta:AnnealedVAE",
    "beta_tcvae": "models.tc_vae:BetaTCVAE",
    "dip_vae_i": "models.dip_vae:DIPVAE1",
    "dip_vae_ii": "models.dip_vae:DIPVAE2",
    "dip_conv_vae_i": "models.dip_vae:DIPConvVAE1",
    "dip_conv_vae_ii": "models.dip_vae:DIPConvVAE2",
    "factor_vae": "models.factor_vae:FactorVAE",
    "factor_conv_vae": "models.factor_vae:FactorConvVAE",
}


def model_class(name: str) -> type[VAE]:
    """The class registered as `name`. Raises KeyError for an unknown one."""
    module, _, attribute = MODELS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def unread_flags(name: str, given: Collection[str]) -> list[str]:
    """Those of the arguments `given`, by their names in the namespace, that other models read and this one does not."""
    flags = {model: {flag[2:].replace("-", "_") for flag in model_class(model).flags} for model in MODELS}
    return sorted(argument for argument in set().union(*flags.values()) - flags[name] if argument in given)


def build_model(args: Namespace, channels: int) -> VAE:
    """The model that `args.model` names, for images with so many channels, with freshly drawn weights."""
    return model_class(args.model).from_args(args, channels)
