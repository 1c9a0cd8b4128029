"""Scores as a file and as a table on the screen: each value beside the protocol that gave it."""

from __future__ import annotations

import importlib.metadata
import json
import time
from pathlib import Path

from system.files import write_text

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")


def write_scores(path: Path, scores: dict[str, float], protocol: dict) -> None:
    """scores.json: the values, the protocol (plain data), and the versions of the packages that computed them."""
    write_text(path, json.dumps(_content(scores, protocol), indent=2) + "\n")


def append_scores(path: Path, scores: dict[str, float], protocol: dict) -> None:
    """The same content as one more line of a file, with the time."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **_content(scores, protocol)}
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _content(scores: dict[str, float], protocol: dict) -> dict:
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    return {"scores": scores, "protocol": protocol, "versions": versions}


def score_table(scores: dict[str, float], protocol: dict) -> str:
    """The scores in two columns, under a line that says on what they were measured."""
    width = max((len(name) for name in scores), default=0)
    title = "scores on {dataset} ({data_source}, {images:,} images), {preset} protocol, seed {seed}".format(**protocol)
    return "\n".join([title, *(f"  {name:<{width}}  {value:8.4f}" for name, value in scores.items())])
