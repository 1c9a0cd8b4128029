"""Initialise a model from the encoder and decoder of another one, layer by layer."""

from __future__ import annotations

import torch

from models import MODELS, model_class
from models.vae import VAE
from system.errors import UserError

Layers = dict[str, dict[str, torch.Tensor]]  # layer -> {`weight`: tensor, `bias`: tensor}


def start_from(model: VAE, state: dict[str, torch.Tensor], trained_as: str, path: str) -> None:
    """Copy the layers of another model's encoder and decoder that fit into `model`, and print how many.

    Args:
        state: the state dict of the other model, in the reference layout.
        trained_as: the name of the other model.
        path: --base-model-path, for messages.
    Raises:
        UserError: no layer fits, or the other model is unknown.
    """
    if trained_as not in MODELS:
        raise UserError(f"--base-model-path {path} is a run of the model {trained_as!r}, which is not known here")
    taken = take_base_weights(model, state, model_class(trained_as).trunk)
    if not taken:
        raise UserError(f"--base-model-path {path}: no encoder or decoder layer fits --model; name another run")
    fresh = [layer for layer in layers(model.reference_state_dict()) if layer not in taken]
    counts = f"{len(taken)} of {len(layers(state))} layers taken, {len(fresh)} start anew"
    print(f"from {path} ({trained_as}): {counts}" + (f": {', '.join(fresh)}" if fresh else ""))


def take_base_weights(model: VAE, state: dict[str, torch.Tensor], trunk: dict[str, str]) -> list[str]:
    """Copy into `model` every layer of `state` that has the same place and the same shapes. Returns their names.

    The same place: the same name, or the same number in the trunk of the encoder or decoder. The first convolution, for
    example, is `encoder.prior_group.0` in the Lie group VAE and `encoder.0` in the others.

    Args:
        state: the state dict of the other model, in the reference layout.
        trunk: `trunk` of the other model's class.
    """
    there, taken = layers(state), []
    for layer, own in layers(model.reference_state_dict()).items():
        part = layer.partition(".")[0]  # encoder or decoder
        for place in (layer, layer.replace(model.trunk[part] + ".", trunk[part] + ".", 1)):
            values = there.get(place, {})
            if {kind: value.shape for kind, value in values.items()} == {kind: t.shape for kind, t in own.items()}:
                model.load_state_dict({f"{layer}.{kind}": value for kind, value in values.items()}, strict=False)
                taken.append(layer)
                break
    return taken


def layers(state: dict[str, torch.Tensor]) -> Layers:
    """The layers of encoder and decoder, in the order of the state dict."""
    found: Layers = {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        if name.startswith(("encoder.", "decoder.")):
            found.setdefault(layer, {})[kind] = value
    return found
