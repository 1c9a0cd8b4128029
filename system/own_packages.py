"""Imported first: says which other package is in the way, where one has the name of a package of this project.

`datasets`, `models` and `metrics` are also names of packages that people install; Hugging Face's `datasets` is one.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
NAMES = ("datasets", "models", "metrics", "logger")


def check() -> None:
    """Raises ImportError, naming the other package and the remedy, if a name of the project leads elsewhere."""
    for name in NAMES:
        places = _places(name)
        if not any(place == PROJECT / name for place in places):
            found = f"the package in {places[0]}" if places else "a module without a folder"
            state = "was imported before" if name in sys.modules else "comes first in sys.path"
            raise ImportError(
                f"`{name}` is {found}, which {state}, not the one of this project: restart Python and call "
                f"sys.path.insert(0, {str(PROJECT)!r}) before any import, see docs/notebooks.md"
            )


def _places(name: str) -> list[Path]:
    """The folders of the package that `import name` gives."""
    module = sys.modules.get(name)
    if module is not None:
        return [Path(place).resolve() for place in getattr(module, "__path__", ())]
    spec = find_spec(name)
    return [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]


check()
