"""The registry of models: the names that `--model` takes. A new model is one line in MODELS."""

from __future__ import annotations

import importlib
from argparse import Namespace
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from models.settings import SETTINGS
from system.errors import UserError

if TYPE_CHECKING:
    from models.vae import VAE


class Preset(NamedTuple):
    """A class, its networks, and what the name fixes.

    where: `module:class`, as text, so that `--help` does not import torch.
    networks: a key of `models.networks.NETWORKS`; None for a class that makes its own.
    fixed: arguments of the class that no flag changes.
    equation: the loss, see `VAE.equation`; none: that of the class.
    instead: setting that the loss does not use -> the one that it uses in its place.
    """

    where: str
    networks: str | tuple[str, dict] | None = "conv"
    fixed: Mapping[str, Any] = {}
    equation: str | None = None
    instead: Mapping[str, str] = {}


BETA_VAE = "models.vae:VAE"
DIP = "recon + beta kl + lambda_od dip_off_diagonal + lambda_d dip_diagonal"
NO_EXP = {"no_exp": True, "hy_hes": 0.0, "hy_commute": 0.0, "lie_alg_init_scale": 0.001}
DIP_I, DIP_II = {"hy_dip": 1.0, "dip_type": "i"}, {"hy_dip": 1.0, "dip_type": "ii"}

MODELS: dict[str, Preset] = {
    "lie_group": Preset("models.lie_vae:LieGroupVAE", None),
    # Group features, but no exponential map; the unused basis stays in the state dict.
    "bottleneck_vae": Preset("models.lie_vae:LieGroupVAE", None, NO_EXP, "recon + beta kl + hy_rec group_feats_rec"),
    "vae": Preset(BETA_VAE, "conv", {"beta": 1.0, "capacity": None}, "recon + kl"),
    "beta_shapes": Preset(BETA_VAE, "mlp"),
    "beta_celeb": Preset(BETA_VAE),
    "annealed_vae": Preset("models.vae:AnnealedVAE", instead={"beta": "annealed_gamma"}),
    "beta_tcvae": Preset("models.tc_vae:BetaTCVAE", "conv", {"capacity": None, "hy_tc": 0.0}),
    "dip_vae_i": Preset(BETA_VAE, "mlp", DIP_I, DIP),
    "dip_vae_ii": Preset(BETA_VAE, "mlp", DIP_II, DIP),
    "dip_conv_vae_i": Preset(BETA_VAE, "conv", DIP_I, DIP),
    "dip_conv_vae_ii": Preset(BETA_VAE, "conv", DIP_II, DIP),
    "factor_vae": Preset("models.tc_vae:FactorVAE", "mlp"),
    "factor_conv_vae": Preset("models.tc_vae:FactorVAE"),
}
SHARED_WEIGHTS = ("beta", "capacity", "hy_tc", "hy_dip")  # a model that fixes one of them refuses its flag


def model_class(name: str) -> type[VAE]:
    """The class registered as `name`. Raises KeyError for an unknown one."""
    module, _, attribute = MODELS[name].where.partition(":")
    return getattr(importlib.import_module(module), attribute)


def settings_read(name: str) -> set[str]:
    """Names of the settings that the model reads from the command line."""
    return model_class(name).arguments() - {*MODELS[name].fixed, *MODELS[name].instead}


def unread_flags(name: str, given: Collection[str]) -> list[str]:
    """Those of the flags `given` (names in the namespace) that other models read, and this one does not."""
    return sorted(SETTINGS.keys() & set(given) - settings_read(name))


def check_args(args: Namespace) -> None:
    """Raise UserError, naming the flag and the remedy, if flags contradict the model or one another."""
    fixed, instead = MODELS[args.model].fixed, MODELS[args.model].instead
    for name in SHARED_WEIGHTS:
        if name in {*fixed, *instead} and getattr(args, name) != SETTINGS[name].default:
            reason = f"its weight is --{instead[name]}" if name in instead else f"it is always {fixed[name]}"
            raise UserError(f"--{name} has no meaning for --model {args.model}: {reason}; leave it out")
    model_class(args.model).check_args(args)


def build_model(args: Namespace, channels: int) -> VAE:
    """The model that `args.model` names, with newly initialised weights, for images of 1 or 3 channels."""
    from models.networks import channels_last  # imports torch

    preset = MODELS[args.model]
    networks = {"networks": preset.networks} if preset.networks else {}
    model = model_class(args.model).from_args(args, channels, **preset.fixed, **networks)
    model.equation = preset.equation or model.equation
    return channels_last(model)
