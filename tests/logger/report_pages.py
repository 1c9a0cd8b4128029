"""Runs as a training writes them, for reports on them, and a check of the page."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from logger import report
from logger.catalogue import PICTURES

VOID = {"img", "meta", "link", "br", "input"}


def write_run(
    path: Path, scores: dict | None = None, *, steps=range(20, 400, 20), loss=100.0, drawn=True, **args
) -> Path:
    """A run directory with arguments and scores and, where `drawn`, with curves and pictures."""
    path.mkdir(parents=True, exist_ok=True)
    defaults = {"model": "lie_group", "dataset": "dsprites", "data_source": "replica", "seed": 1, "batch_size": 64}
    (path / "args.json").write_text(json.dumps({**defaults, **args}))
    if scores is not None:
        protocol = {"preset": "fast", "dataset": args.get("dataset", "dsprites"), "metrics": ["a"], "step": max(steps)}
        (path / "scores.json").write_text(json.dumps({"scores": scores, "protocol": protocol}))
    if drawn:
        for step in steps:
            row = {"train/loss": loss / step, "train/kl": step / 100, "train/recon": loss / step}
            log(path, step, **{**row, "train_kl_per_latent/00": 1.0})
        last = {"validation/loss": loss / 100, "algebra/commutator_norm": loss / 1000}
        log(path, max(steps), **{**last, "equivariance_error/pos_x": 0.5})
        for name, width in (("traversals", 900), ("group_elements", 300)):
            Image.fromarray(np.full((40, width, 3), 7, np.uint8)).save(path / PICTURES[name].file)
    return path


def log(path: Path, step: int, **values: float) -> None:
    """Add a line for each tag to the scalars.csv of a run."""
    with open(path / "scalars.csv", "a", encoding="utf-8") as file:
        if file.tell() == 0:
            file.write("step,epoch,images,tag,value\n")
        file.writelines(f"{step},,{64 * step},{tag},{value}\n" for tag, value in values.items())


class Checker(HTMLParser):
    """Checks nesting as it goes, and keeps what a test wants to see."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.images, self.anchors, self.links, self.urls, self.text = [], [], set(), [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs)  # none twice
        self.urls += [attributes[key] for key in ("src", "href", "srcset", "action", "data") if key in attributes]
        self.anchors |= {attributes["id"]} if "id" in attributes else set()
        self.links += [attributes["href"]] if tag == "a" else []
        self.images += [attributes] if tag == "img" else []
        assert tag != "script" and not any(key.startswith("on") for key in attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data.replace("\u00a0", " "))


def check_page(path: Path) -> Checker:
    """The page nests, has alternative texts, and refers to nothing outside itself."""
    content = path.read_text(encoding="utf-8")
    checked = Checker(content)
    assert all(url.startswith(("data:", "#")) for url in checked.urls)
    assert "url(" not in content and "@import" not in content
    assert all(len(image["alt"]) > 20 for image in checked.images)
    for image in checked.images:
        kind, data = re.fullmatch(r"data:image/(png);base64,(.*)", image["src"]).groups()
        assert base64.b64decode(data, validate=True)[:4] == {"png": b"\x89PNG"}[kind]
    assert content.startswith("<!DOCTYPE html>") and 'name="viewport"' in content
    return checked


def written(*paths: Path) -> Path:
    """The report of the paths, of which all could be read."""
    path, left_out = report.write_report(paths)
    assert left_out == []
    return path


def text_of(*paths: Path) -> str:
    """What the report of the paths says, with single spaces."""
    return " ".join(" ".join(check_page(written(*paths)).text).split())


def titles_of(*paths: Path) -> list[str]:
    """The titles of the pictures and charts in the report of the paths."""
    return [image["alt"].partition(".")[0] for image in check_page(written(*paths)).images]
