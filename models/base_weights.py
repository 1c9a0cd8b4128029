"""Initialise a model from the encoder and decoder of another one, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

import torch

from models import MODELS, model_class
from models.vae import VAE
from system.errors import UserError


@dataclass
class Taken:
    """Names of layers, such as `encoder.0` for `encoder.0.weight` and `encoder.0.bias`."""

    taken: list[str]  # layers of the model that were copied from the other model
    left: list[str]  # layers of the other model that fit no layer
    fresh: list[str]  # layers of the model that keep their initial weights


def start_from(model: VAE, state: dict[str, torch.Tensor], trained_as: str, path: str) -> None:
    """Copy the layers of another model's encoder and decoder that fit into `model`, and print which.

    Args:
        state: the state dict of the other model, in the reference layout.
        trained_as: the name of the other model.
        path: --base-model-path, for messages.
    Raises:
        UserError: no layer fits, or the other model is unknown.
    """
    if trained_as not in MODELS:
        raise UserError(f"--base-model-path {path} is a run of the model {trained_as!r}, which is not known here")
    layers = take_base_weights(model, state, model_class(trained_as).trunk)
    if not layers.taken:
        raise UserError(f"--base-model-path {path}: no encoder or decoder layer fits --model; name another run")
    for what, names in (("taken", layers.taken), ("left", layers.left), ("of this model as drawn", layers.fresh)):
        print(f"from {path} ({trained_as}): {len(names)} layers {what}" + (f": {', '.join(names)}" if names else ""))


def take_base_weights(model: VAE, state: dict[str, torch.Tensor], trunk: dict[str, str]) -> Taken:
    """Copy into `model` every layer of `state` that has the same place and the same shapes.

    The same place: the same name, or the same number in the trunk of the encoder or decoder. The first convolution, for
    example, is `encoder.prior_group.0` in the Lie group VAE and `encoder.0` in the others.

    Args:
        state: the state dict of the other model, in the reference layout.
        trunk: `trunk` of the other model's class.
    """
    own, theirs = _layers(model.reference_state_dict()), _layers(state)
    sources: dict[str, str] = {}  # layer of the model -> layer of the state dict
    for layer, tensors in theirs.items():
        for place in dict.fromkeys([layer, _moved(layer, trunk, model.trunk)]):
            if _shapes(own.get(place, {})) == _shapes(tensors) and place not in sources:
                sources[place] = layer
                break
    chosen = {place + kind: tensor for place, layer in sources.items() for kind, tensor in theirs[layer].items()}
    model.load_state_dict(chosen, strict=False)
    used = set(sources.values())
    return Taken(list(sources), [name for name in theirs if name not in used], [n for n in own if n not in sources])


def _layers(state: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Layer name -> {`.weight`: tensor, `.bias`: tensor}; encoder and decoder only, in the order of the state dict."""
    names = [name for name in state if name.startswith(("encoder.", "decoder."))]
    by_layer = groupby(names, key=lambda name: name.rpartition(".")[0])
    return {layer: {name[len(layer) :]: state[name] for name in group} for layer, group in by_layer}


def _moved(layer: str, trunk: dict[str, str], own_trunk: dict[str, str]) -> str:
    """The layer's name in the model's own trunk; unchanged outside the trunk."""
    for part, prefix in trunk.items():
        if layer.startswith(prefix + "."):
            return own_trunk[part] + layer[len(prefix) :]
    return layer


def _shapes(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {kind: tensor.shape for kind, tensor in tensors.items()}
