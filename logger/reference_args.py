"""The arguments of a run of the authors' code."""

from __future__ import annotations

import contextlib
import json
from argparse import Namespace
from pathlib import Path

from system import tensors
from system.errors import UserError


def load_args(path: Path) -> dict:
    """The arguments in an args.pt of the reference layout, a pickled argparse.Namespace.

    Raises UserError as `system.tensors.load` does.
    """
    content = tensors.load(path, allowed=(Namespace,))
    if isinstance(content, Namespace):
        content = vars(content)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path} holds no arguments; restore it or train again")
    return {name: _unquoted(value) for name, value in content.items()}


def _unquoted(value):
    """Lists and None may have been recorded as the text that the command line held."""
    if isinstance(value, str) and (value.startswith("[") or value == "None"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value.replace("None", "null"))
    return value
