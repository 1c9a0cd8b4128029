"""Writes scores with their protocol to files, and as a short table to the screen."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import time
from pathlib import Path

import numpy as np

from logger import score_guide
from logger.reading import read_scores
from logger.run_directory import RunDirectory, timestamp
from metrics.info import ON_SCREEN
from system.errors import UserError
from system.files import replacing, write_text

PACKAGES = ("torch", "numpy", "scipy", "scikit-learn")


def record(run: RunDirectory, writer, scored, step: int) -> None:
    """Write a `metrics.ModelScores` to TensorBoard, log_metrics.txt and scores.json, and its codes to codes.npz.

    writer: the `ScalarWriter` of the run. `python -m metrics` reads codes.npz.
    """
    for name, value in scored.values.items():
        writer.add_scalar(f"dmetric/{name}", value, step)
    run.append_metrics({f"dmetric/{name}": value for name, value in scored.values.items()})
    write_scores(run.scores_file, scored, {"step": step})
    writer.flush()
    with replacing(run.codes_file) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **scored.codes)


def write_scores(path: Path, scored, place: dict) -> None:
    """Write scores.json: values, protocol with the `place` of the weights, versions of the packages used."""
    write_text(path, json.dumps(_content(scored, place), indent=2) + "\n")


def append_scores(path: Path, scored, place: dict) -> None:
    """Append the contents of scores.json, and the time, as one JSON line to a file. Raises UserError."""
    line = {"time": timestamp(time.time()), **_content(scored, place)}
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; name another folder with --result-path") from error


def step_of(run: RunDirectory) -> int:
    """The step of the scores in scores.json; 0 if there are none, or if the file is damaged."""
    with contextlib.suppress(UserError):
        return read_scores(run.scores_file)[1].get("step") or 0
    return 0


def _content(scored, place: dict) -> dict:
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    scores = scored.values
    intervals = {name: interval for name in scores if (interval := score_guide.interval(scores, name))}
    bootstrapped = {"intervals": intervals} if intervals else {}
    return {"scores": scores, **bootstrapped, "protocol": {**scored.protocol, **place}, "versions": versions}


def score_table(scores: dict[str, float], protocol: dict, model: str) -> str:
    """The table for the screen, in 79 columns: a line a score, and below it the paper's value for `model`, if any.

    Each value is shown with its direction and ideal. Stars refer to remarks below.
    """
    remarks = score_guide.remarks(scores, protocol)
    reasons = list(dict.fromkeys(remarks[name] for name in scores if name in remarks))
    paper = score_guide.published(protocol.get("dataset"), model, protocol.get("varying_factors"))
    published, lines = paper.get(score_guide.THE_PAPER, {}), []
    for question, group in score_guide.grouped(scores).items():
        for score in group:
            if question != score_guide.PAPER and score.key not in ON_SCREEN:
                continue
            value = score_guide.number(scores[score.key])
            if interval := score_guide.interval(scores, score.key):
                value += " [{}, {}]".format(*map(score_guide.number, interval))
            if score.key in remarks:
                value += " " + "*" * (reasons.index(remarks[score.key]) + 1)
            best = ", ".join(filter(None, (score.better, score_guide.ideal(score))))
            lines.append(f"  {score.name:30} {value:26} {best}".rstrip())
            if theirs := published.get(score.key):
                lines.append(f"      the paper: {theirs.mean:.3f} ± {theirs.deviation:.3f} ({theirs.setting})")
    lines += [f"  {'*' * rank} {reason}" for rank, reason in enumerate(reasons, 1)]
    number = sum(not name.endswith("_se") for name in scores)
    title = "scores on {dataset}: {data_source}\n  {images:,} images, {preset} protocol, seed {seed}".format(**protocol)
    if protocol.get("bootstrap"):
        title += f"\n  in brackets: 95% intervals from {protocol['bootstrap']} half-samples"
    end = f"all {number} scores: in the run's report; what they mean: docs/metrics.md"
    return "\n".join([title, *lines, end])
