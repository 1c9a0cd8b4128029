"""Declarations of metrics: each file of this folder that implements a metric defines one `METRIC`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from metrics.presets import Preset
from metrics.sampling import PlainSource

# The questions that scores answer, in the order of lists and tables.
ONE_FACTOR = "Does one latent hold one factor?"
INFORMATION = "Is all information there?"
INDEPENDENCE = "Are the latents independent?"
SYMMETRY = "Do the symmetries act linearly?"
AGREEMENT = "Do several runs agree?"
QUESTIONS = (ONE_FACTOR, INFORMATION, INDEPENDENCE, SYMMETRY, AGREEMENT)


@dataclass(frozen=True)
class Score:
    """A score that a metric logs.

    Attributes:
        name: name in the log, as `dmetric/<name>`.
        title: name to display.
        reading: one sentence on how to interpret it.
        better: `higher` or `lower`; empty if neither is better.
        ideal: value of an ideal code; None if that depends on the data.
        column: name of its column in the table of runs; empty: no column.
        place: position of the column; columns with the same place are sorted by name.
        headline: rank among the first scores of reports and of TensorBoard's HPARAMS; 0: not one of them.
        question: one of QUESTIONS, if it differs from the metric's.
        on_screen: whether to show it in the short table on the screen; headlines are always shown.
        least_factors: minimum number of varying factors; with fewer, every code has the same score.
    """

    name: str
    title: str
    reading: str
    better: str = "higher"
    ideal: float | None = 1.0
    column: str = ""
    place: int = 100
    headline: int = 0
    question: str = ""
    on_screen: bool = False
    least_factors: int = 1


# Declares a score that is better if lower, and ideally 0.
lower_is_better = partial(Score, better="lower", ideal=0.0)


@dataclass(frozen=True)
class Request:
    """The input of a metric: codes by index, the indices it drew, and the settings of the evaluation."""

    codes: Callable[[np.ndarray], np.ndarray]  # [...] -> [..., d]
    drawn: dict[str, np.ndarray]
    source: PlainSource
    preset: Preset
    seed: int = 0
    workers: int | None = None
    decoder: Callable | None = None
    device: str = "cpu"

    def table(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Codes `[n, d]` and factors `[n, k]` of the drawn points: `points`, `train` or `test`."""
        return self.codes(self.drawn[split]), self.source.factors(self.drawn[split])

    def both(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes and factors of the training set, then of the test set."""
        return *self.table("train"), *self.table("test")


@dataclass(frozen=True)
class Metric:
    """The declaration of a metric.

    Attributes:
        name: its name for `evaluate` and on the command line.
        summary: one line for `--list`.
        question: one of QUESTIONS.
        scores: the scores that it logs.
        score: Request -> dict of the scores by name, and optionally of matrices `[d, k]` to show; or, if other
            processes compute it, a function that waits for this dict.
        draw: (source, preset, rng) -> named index arrays (`..._label` arrays hold classes instead); None to use the
            shared `points`, `train` and `test`.
        on_tables: whether the drawn arrays are tables of independent samples, which a bootstrap may resample.
        needs: what it needs besides codes: `factors`, `steps` (every combination of the factors), `decoder` (and a data
            set), `runs` (codes of several runs; not computed by `evaluate`).
    """

    name: str
    summary: str
    question: str
    scores: tuple[Score, ...]
    score: Callable[..., dict[str, Any] | Callable[[], dict[str, Any]]]
    draw: Callable | None = None
    on_tables: bool = True
    needs: tuple[str, ...] = ("factors",)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the scores."""
        return tuple(score.name for score in self.scores)


def draw_many(source, preset: Preset, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`draw` for metrics that need more than the shared points."""
    return {"points": source.split(rng, preset.intervention_points, 2)["points"]}
