"""How a metric declares itself: each file of this folder that holds a metric ends with its one `METRIC`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.presets import Preset
from metrics.sampling import PlainSource

# What the scores ask of a code, in the order in which lists and tables show them.
ONE_FACTOR = "Does one latent hold one factor?"
INFORMATION = "Is all information there?"
INDEPENDENCE = "Are the latents independent?"
SYMMETRY = "Do the symmetries act linearly?"
AGREEMENT = "Do several runs agree?"
QUESTIONS = (ONE_FACTOR, INFORMATION, INDEPENDENCE, SYMMETRY, AGREEMENT)


@dataclass(frozen=True)
class Score:
    """One number that a metric logs.

    Attributes:
        name: in the log, as `dmetric/<name>`.
        title: for people.
        reading: one sentence on how to read it.
        better: `higher` or `lower`; empty where the number is a count and nothing is best.
        ideal: its value on an ideal code; None where that depends on the data.
        column: its column in the table of runs; empty: it has none.
        place: where that column stands in the table; columns of one place stand in the order of their names.
        headline: its rank among the few that stand first in reports and in TensorBoard's comparison; 0: it is not.
        question: one of QUESTIONS, where it is not the metric's.
        on_screen: whether the short table on the screen has it; the headlines are there in any case.
        least_factors: how many varying factors it takes; with fewer, every code scores the same.
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


@dataclass(frozen=True)
class Request:
    """What a metric is given: codes by index, the indices it drew, and the settings of the evaluation."""

    codes: Callable[[np.ndarray], np.ndarray]  # [...] -> [..., d]
    drawn: dict[str, np.ndarray]
    source: PlainSource
    preset: Preset
    seed: int = 0
    workers: int | None = None
    decoder: Callable | None = None
    device: str = "cpu"

    def table(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Codes `[n, d]` and factors `[n, k]` of the drawn points, train or test."""
        return self.codes(self.drawn[split]), self.source.factors(self.drawn[split])

    def both(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Codes and factors of train, then of test."""
        return *self.table("train"), *self.table("test")


@dataclass(frozen=True)
class Metric:
    """All that the rest of the project knows of a metric.

    Attributes:
        name: by which it is asked for.
        summary: one line for `--list`.
        question: what it asks, one of QUESTIONS.
        scores: the numbers that it logs.
        score: Request -> dict of those numbers by name, and of the matrices `[d, k]` that they come from, where these
            are worth a look; or, of a metric whose work goes on in other processes, a function that waits for the dict.
        draw: (source, preset, rng) -> named index arrays (`..._label` arrays hold classes instead); None for the
            metrics that share one draw of points, train and test.
        on_tables: the drawn arrays are tables of independent samples, which a bootstrap may resample.
        needs: `steps` (every combination of the factors), `decoder` (and a data set), `runs` (the codes of several
            runs; `evaluate` does not compute it), or nothing.
        needs_factors: whether factors must be known.
    """

    name: str
    summary: str
    question: str
    scores: tuple[Score, ...]
    score: Callable[..., dict[str, Any] | Callable[[], dict[str, Any]]]
    draw: Callable | None = None
    on_tables: bool = True
    needs: str = ""
    needs_factors: bool = True

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names logged."""
        return tuple(score.name for score in self.scores)


def draw_many(source, preset: Preset, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`draw` of the metrics that want more points than the others share."""
    return {"points": source.split(rng, preset.intervention_points, 2)["points"]}
