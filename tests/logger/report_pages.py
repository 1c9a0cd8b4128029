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
    path: Path, scores: dict | None = None, *, steps=range(20, 400, 20), loss=100.0, drawn=True, resumed=False, **args
) -> Path:
    """A run directory with arguments and scores and, where `drawn`, with an event file and pictures.

    resumed: the event file tells TensorBoard to discard what others have from its first step on.
    """
    path.mkdir(parents=True, exist_ok=True)
    defaults = {"model": "lie_group", "dataset": "dsprites", "data_source": "replica", "seed": 1, "batch_size": 64}
    (path / "args.json").write_text(json.dumps({**defaults, **args}))
    if scores is not None:
        protocol = {"preset": "fast", "dataset": args.get("dataset", "dsprites"), "metrics": ["a"], "step": max(steps)}
        (path / "scores.json").write_text(json.dumps({"scores": scores, "protocol": protocol}))
    if drawn:
        _write_events_and_pictures(path, steps, loss, resumed)
    return path


def _write_events_and_pictures(path: Path, steps, loss: float, resumed: bool) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(path), purge_step=min(steps) if resumed else None) as writer:
        for step in steps:
            writer.add_scalar("train/loss", loss / step, step)
            writer.add_scalar("train/kl", step / 100, step)
            writer.add_scalar("train/recon", loss / step, step)
            writer.add_scalar("train_by_images_seen/loss", loss / step, 64 * step)
            writer.add_scalar("train_kl_per_latent/00", 1.0, step)
        writer.add_scalar("validation/loss", loss / 100, max(steps))
        writer.add_scalar("algebra/commutator_norm", loss / 1000, max(steps))
        writer.add_scalar("equivariance_error/pos_x", 0.5, max(steps))
    for name, width in (("traversals", 900), ("group_elements", 300)):
        Image.fromarray(np.full((40, width, 3), 7, np.uint8)).save(path / PICTURES[name].file)


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


def written(paths) -> Path:
    """The report of the paths, of which all could be read."""
    path, left_out = report.write_report(paths)
    assert left_out == []
    return path
