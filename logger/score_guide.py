"""What is said of scores: their order, why a value may not be meaningful, intervals, published values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from metrics.info import GROUPS, HEADLINES, SCORES, SOURCES, Published, Score

PAPER = "The paper's scores"
OTHER = "Other scores"
OF_ANY_CODE = {"fac_num_act", "reconstruction_error"}  # meaningful for every code, even a collapsed one
NORMAL = 1.959964  # quantile 0.975 of the normal distribution
THE_PAPER, RERUN = SOURCES
VARYING = {"dsprites": 5, "shapes3d": 6}  # factors with more than one value


def grouped(names: Iterable[str]) -> dict[str, list[Score]]:
    """Question -> scores among `names`: the paper's first, undeclared ones last, standard errors (`_se`) omitted."""
    names = set(names)
    groups = {PAPER: [SCORES[key] for key in HEADLINES]}
    for group in GROUPS:
        groups[group] = [score for score in SCORES.values() if score.group == group and score.key not in HEADLINES]
    undeclared = sorted(names - SCORES.keys() - {f"{name}_se" for name in names})
    groups[OTHER] = [Score(name, name, "", better="", ideal=None) for name in undeclared]
    found = {question: [score for score in scores if score.key in names] for question, scores in groups.items()}
    return {question: scores for question, scores in found.items() if scores}


def remarks(scores: Mapping[str, float], protocol: Mapping) -> dict[str, str]:
    """Score -> why its value is not meaningful, for scores with a known reason.

    Args:
        protocol: as in scores.json; checks that need a missing entry (`varying_factors`, `images`, `samples`) are
            skipped.
    """
    images, varying, samples = (protocol.get(name) for name in ("images", "varying_factors", "samples"))
    wanted = samples.get("train_points") if isinstance(samples, Mapping) else None
    found = {}
    for name in scores.keys() & SCORES.keys() - OF_ANY_CODE:
        if scores.get("fac_num_act") == 0:
            found[name] = "not meaningful: no latent is active"
        elif isinstance(varying, int) and varying < SCORES[name].least_factors:
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


def published(dataset: object, model: object, varying: object = None) -> dict[str, dict[str, Published]]:
    """Source -> metric -> published score of a model on a data set.

    Args:
        model: name on the command line; all `beta_...` models except TC count as the beta-VAE.
        varying: number of factors that vary in the run's data; None: unknown. If only some of them vary (such as with
            one shape of dSprites), the result is empty, since scores by chance differ.
    """
    if varying is not None and varying != VARYING.get(str(dataset)):
        return {}
    model = str(model)
    kind = "beta_tcvae" if "tc" in model else "beta" if model.startswith("beta") else model
    found: dict[str, dict[str, Published]] = {}
    for score in SCORES.values():
        for (source, data, name), value in score.published.items():
            if (data, name) == (dataset, kind):
                found.setdefault(source, {})[score.key] = value
    return found
