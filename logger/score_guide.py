"""How to read the scores, as the metrics declare it, in the order of every table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from metrics import headlines, scores
from metrics.metric import QUESTIONS as ASKED
from metrics.metric import Score

PAPER = "The paper's scores"
OTHER = "Other scores"
HIGH, LOW, NEITHER = "higher", "lower", ""
QUESTIONS = (PAPER, *ASKED)

_DECLARED = scores()
_HEADLINES = [replace(score, question=PAPER) for score in headlines()]
BY_NAME: dict[str, Score] = {score.name: score for score in _HEADLINES}
BY_NAME |= {name: score for name, score in _DECLARED.items() if name not in BY_NAME}


def describe(name: str) -> Score:
    """What is declared of a score; for one that no metric declares, its name alone."""
    return BY_NAME.get(name, Score(name, name, "", NEITHER, None, question=OTHER))


def ideal(score: Score) -> str:
    """The ideal value as text; empty where there is none."""
    return "" if score.ideal is None else f"{score.ideal:g}"


def grouped(names: Iterable[str]) -> dict[str, list[Score]]:
    """Question -> the scores among `names`, the paper's first; what is not declared comes last. `_se` are none."""
    names = set(names)
    known = [score for score in BY_NAME.values() if score.name in names]
    others = sorted(n for n in names - BY_NAME.keys() if not (n.endswith("_se") and n[:-3] in names))
    groups: dict[str, list[Score]] = {}
    for score in sorted(known, key=lambda score: QUESTIONS.index(score.question)):
        groups.setdefault(score.question, []).append(score)
    return groups | ({OTHER: [describe(name) for name in others]} if others else {})
