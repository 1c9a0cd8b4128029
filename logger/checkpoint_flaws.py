"""Checks whether the content of a checkpoint file is a complete checkpoint of its run."""

from __future__ import annotations

import copy

import torch

from system import randomness
from system.command_line import MOST
from system.files import not_finite

MACHINE = {"capturable", "foreach", "fused"}  # how an optimiser computes its step: may differ from the run's


def flaw(found, fresh: dict, optimisers: dict | None, most: dict[str, int]) -> str | None:
    """Why the run cannot be resumed from the checkpoint; None if it can.

    Args:
        found: the content of the file.
        fresh: the checkpoint of the same run before its first step (`logger.checkpoints.state`).
        optimisers: newly made ones of the run; None: those of the checkpoint are not checked.
        most: the largest value of a number in `progress`, by name.
    """
    if not isinstance(found, dict):
        return "it holds no checkpoint"
    if missing := [name for name in fresh if name not in found]:
        return f"it has no {', '.join(missing)}"
    if unknown := [str(name) for name in found if name not in fresh]:
        return f"unknown entries {', '.join(unknown[:3])}"
    for name in ("logs", "versions", "args"):
        if not isinstance(found[name], dict):
            return f"{name} is no table"
    if not all(isinstance(name, str) and _is_count(length, MOST) for name, length in found["logs"].items()):
        return "logs holds no lengths"
    if not all(isinstance(found["versions"].get(name), str) for name in fresh["versions"]):
        return "versions are missing"
    return (
        _flaw_of_progress(found["progress"], fresh["progress"], most)
        or _flaw_of_weights(found["model"], fresh["model"])
        or (_flaw_of_optimisers(found["optimisers"], optimisers) if optimisers is not None else None)
        or randomness.flaw(found["random"])
    )


def _is_count(value, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _flaw_of_progress(found, fresh: dict, most: dict[str, int]) -> str | None:
    if not isinstance(found, dict) or found.keys() != fresh.keys():
        return f"progress has not the entries {', '.join(fresh)}"
    for name, value in fresh.items():
        if type(value) is bool:
            fits, wanted = type(found[name]) is bool, "true or false"
        else:
            bound = most.get(name, MOST)
            fits, wanted = _is_count(found[name], bound), f"a count of at most {bound}"
        if not fits:
            return f"progress: {name} is {str(found[name])[:40]!r}, not {wanted}"
    return None


def _flaw_of_weights(found, fresh: dict[str, torch.Tensor]) -> str | None:
    if not isinstance(found, dict) or found.keys() != fresh.keys():
        return "its weights are not those of the model that the arguments describe"
    for name, value in fresh.items():
        if not _is_like(found[name], value):
            return f"the weight {name} is not {value.dtype} {list(value.shape)}"
    return f"the weights {', '.join(bad[:3])} are not finite" if (bad := not_finite(found)) else None


def _is_like(found, value: torch.Tensor) -> bool:
    """Whether it is a dense tensor of that shape and type."""
    return (
        isinstance(found, torch.Tensor)
        and (found.shape, found.dtype, found.layout) == (value.shape, value.dtype, torch.strided)
        and found.device.type == "cpu"
    )


def _flaw_of_optimisers(found, optimisers: dict[str, torch.optim.Optimizer]) -> str | None:
    if not isinstance(found, dict) or found.keys() != optimisers.keys():
        return f"it has not the optimisers {', '.join(optimisers)}"
    for name, optimiser in optimisers.items():
        if reason := _flaw_of_optimiser(found[name], optimiser):
            return f"the optimiser {name}: {reason}"
    return None


def _flaw_of_optimiser(found, optimiser: torch.optim.Optimizer) -> str | None:
    groups = optimiser.state_dict()["param_groups"]
    if not isinstance(found, dict) or not isinstance(found.get("state"), dict):
        return "it has no state"
    if not isinstance(found.get("param_groups"), list) or len(found["param_groups"]) != len(groups):
        return "it has other groups of parameters"
    for theirs, ours in zip(found["param_groups"], groups, strict=True):
        if not isinstance(theirs, dict) or "params" not in theirs:
            return "a group of parameters is no table"
        # A switch that only one of the two has belongs to another version of torch.
        names = [name for name in ours if name in theirs or not (ours[name] is None or type(ours[name]) is bool)]
        if other := [name for name in names if not _is_setting(name, theirs.get(name), ours[name])]:
            return f"its {', '.join(other)} differs from the run's"
    kept = _state_after_a_step(optimiser)
    for number, state in found["state"].items():
        if type(number) is not int or number not in kept:
            return f"it has a state of parameter {str(number)[:20]}, which the model has not"
        if not isinstance(state, dict) or state.keys() != kept[number].keys():
            return f"its state has not the entries {', '.join(kept[number])}"
        for name, value in state.items():
            if not _is_like(value, kept[number][name]) or not torch.isfinite(value).all():
                return f"its {name} of parameter {number} does not fit"
    return None


def _is_setting(name: str, found, ours) -> bool:
    if name in MACHINE:
        return found is None or type(found) is bool
    return _is_plain(found) and found == ours


def _is_plain(value) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, int | float | str)


def _state_after_a_step(optimiser: torch.optim.Optimizer) -> dict[int, dict[str, torch.Tensor]]:
    """Number of a parameter -> what the optimiser keeps for it after a step. The step is one of a copy."""
    probe = copy.deepcopy(optimiser)
    for group in probe.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    probe.step()
    return probe.state_dict()["state"]
