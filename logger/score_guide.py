"""Descriptions of the scores, from the declarations of the metrics, and their order in tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from metrics import headlines, scores
from metrics.metric import QUESTIONS as ASKED
from metrics.metric import Score

PAPER = "The paper's scores"
OTHER = "Other scores"
QUESTIONS = (PAPER, *ASKED)
OF_ANY_CODE = {"fac_num_act", "reconstruction_error"}  # meaningful for every code, even a collapsed one
NORMAL = 1.959964  # quantile 0.975 of the normal distribution

_PAPERS = {score.name: replace(score, question=PAPER) for score in headlines()}
BY_NAME: dict[str, Score] = _PAPERS | scores() | _PAPERS  # the paper's scores first


def remarks(scores: Mapping[str, float], protocol: Mapping) -> dict[str, str]:
    """Score -> why its value is not meaningful, for scores with a known reason.

    Args:
        protocol: as in scores.json; checks that need a missing entry (`varying_factors`, `images`, `samples`) are
            skipped.
    """
    images, varying = protocol.get("images"), protocol.get("varying_factors")
    samples = protocol.get("samples")
    wanted = samples.get("train_points") if isinstance(samples, Mapping) else None
    found = {}
    for name in scores.keys() & BY_NAME.keys() - OF_ANY_CODE:
        if scores.get("fac_num_act") == 0:
            found[name] = "not meaningful: no latent is active"
        elif isinstance(varying, int) and varying < BY_NAME[name].least_factors:
            found[name] = f"not meaningful: {'only one' if varying else 'no'} factor varies"
        elif isinstance(images, int) and isinstance(wanted, int) and images < wanted:
            found[name] = f"unreliable: {images} images, but the protocol uses {wanted:,} points"
    return found


def interval(scores: Mapping[str, float], name: str) -> tuple[float, float] | None:
    """The normal 95% confidence interval of a score; None if it has no standard error (`<name>_se`)."""
    error = scores.get(f"{name}_se")
    return None if error is None else (scores[name] - NORMAL * error, scores[name] + NORMAL * error)


def number(value: float) -> str:
    """Format a number: integers as such, else four decimals, or four significant digits if very small or large."""
    if not math.isfinite(value) or (value == round(value) and abs(value) < 1e6):
        return f"{value:g}"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 10 else f"{value:.4g}"


def ideal(score: Score) -> str:
    """The ideal value as text; empty if there is none."""
    return "" if score.ideal is None else f"{score.ideal:g}"


def grouped(names: Iterable[str]) -> dict[str, list[Score]]:
    """Question -> scores among `names`: the paper's first, undeclared ones last, standard errors (`_se`) omitted."""
    names = set(names)
    known = [score for score in BY_NAME.values() if score.name in names]
    others = sorted(n for n in names - BY_NAME.keys() if not (n.endswith("_se") and n[:-3] in names))
    groups: dict[str, list[Score]] = {}
    for score in sorted(known, key=lambda score: QUESTIONS.index(score.question)):
        groups.setdefault(score.question, []).append(score)
    return groups | ({OTHER: [Score(name, name, "", better="", ideal=None) for name in others]} if others else {})
