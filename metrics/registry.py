"""All metrics by name, collected from the modules of this folder that define a METRIC."""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from importlib import import_module

import metrics
from metrics.metric import QUESTIONS, Metric, Score

PROGRAMS = {"__main__", "cli", "evaluation", "model_scores", "registry"}  # these use the registry


def discover() -> dict[str, Metric]:
    """Name -> metric, sorted by question, then by file name."""
    modules = sorted(found.name for found in pkgutil.iter_modules(metrics.__path__) if found.name not in PROGRAMS)
    declared = [getattr(import_module(f"metrics.{name}"), "METRIC", None) for name in modules]
    ordered = sorted(filter(None, declared), key=lambda metric: QUESTIONS.index(metric.question))
    return {metric.name: metric for metric in ordered}


METRICS = discover()


def scores() -> dict[str, Score]:
    """Logged name -> declaration of the score, with its question, in the order of METRICS."""
    return {
        score.name: replace(
            score,
            question=score.question or metric.question,
            least_factors=score.least_factors if "factors" in metric.needs else 0,
        )
        for metric in METRICS.values()
        for score in metric.scores
    }


def headlines() -> list[Score]:
    """The first scores of reports, by rank."""
    return sorted((score for score in scores().values() if score.headline), key=lambda score: score.headline)


def columns() -> dict[str, Score]:
    """Column of the table of runs -> its score, from left to right."""
    found = [score for score in scores().values() if score.column]
    return {score.column: score for score in sorted(found, key=lambda score: (score.place, score.column))}
