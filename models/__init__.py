"""Models by name. The one place where a new model is added."""

from __future__ import annotations

from argparse import Namespace

from models.lie_algebra import LieAlgebra
from models.lie_vae import LieGroupVAE
from models.vae import VAE

MODELS: dict[str, type[VAE]] = {
    "lie_group": LieGroupVAE,
}


def build_model(args: Namespace, channels: int) -> VAE:
    """The model that `args.model` names, for images with so many channels."""
    return MODELS[args.model].from_args(args, channels)


__all__ = ["MODELS", "LieAlgebra", "LieGroupVAE", "VAE", "build_model"]
