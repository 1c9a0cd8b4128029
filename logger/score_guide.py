"""What is said of the scores: descriptions, from the declarations of the metrics; their order; published values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

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


THE_PAPER, RERUN = "paper", "re-run"
SOURCES = {
    THE_PAPER: "Zhu, Xu, Tao, Commutative Lie Group VAE for Disentanglement Learning, ICML 2021 (arXiv 2106.03375)",
    RERUN: "an independent re-run of the model, from the public README of CFASL",
}


class Published(NamedTuple):
    """A published score as a fraction of 1: mean and standard deviation over ten runs. setting: how it was trained."""

    source: str
    dataset: str
    model: str
    metric: str
    mean: float
    deviation: float
    setting: str


_RERUN_METRICS = ("fac_eval", "val_hig_acc", "discrete_mig", "SAP_score", "dci_disentanglement")


def _rerun(dataset: str, model: str, steps: str, *percent: tuple[float, float]) -> list[Published]:
    """Scores of the re-run. percent: mean and deviation of each of _RERUN_METRICS."""
    setting = f"batch 64, {steps} steps"
    scores = zip(_RERUN_METRICS, percent, strict=True)
    return [Published(RERUN, dataset, model, name, mean / 100, sd / 100, setting) for name, (mean, sd) in scores]


VARYING = {"dsprites": 5, "shapes3d": 6}  # factors with more than one value
PUBLISHED = [
    Published(THE_PAPER, "dsprites", "lie_group", "fac_eval", 0.861, 0.020, "70 epochs, batch 256"),
    Published(THE_PAPER, "shapes3d", "lie_group", "fac_eval", 0.932, 0.040, "batch 256"),
    Published(THE_PAPER, "dsprites", "lie_group", "SAP_score", 0.541, 0.012, "ablation, hy_hes 20"),
    Published(THE_PAPER, "dsprites", "lie_group", "discrete_mig", 0.297, 0.031, "ablation, hy_hes 20"),
    Published(THE_PAPER, "dsprites", "bottleneck_vae", "fac_eval", 0.746, 0.081, "ablation"),
    Published(THE_PAPER, "dsprites", "vae", "fac_eval", 0.694, 0.109, "ablation"),
    Published(THE_PAPER, "dsprites", "factor_conv_vae", "fac_eval", 0.8215, 0.0088, "as the paper cites it"),
    *_rerun("dsprites", "lie_group", "300k", (82.33, 5.59), (86.80, 3.43), (22.96, 6.08), (7.07, 0.86), (31.23, 5.32)),
    *_rerun("dsprites", "beta", "300k", (73.54, 6.47), (83.20, 7.07), (13.19, 4.48), (5.69, 1.98), (21.49, 6.30)),
    *_rerun("dsprites", "beta_tcvae", "300k", (79.19, 5.87), (89.2, 4.73), (23.95, 10.13), (7.20, 0.66), (35.33, 9.07)),
    *_rerun("shapes3d", "lie_group", "500k", (74.60, 11.06), (83, 10.64), (47.09, 18.56), (5.58, 2.22), (58.17, 11.36)),
]


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
    for score in PUBLISHED:
        if (score.dataset, score.model) == (dataset, kind):
            found.setdefault(score.source, {})[score.metric] = score
    return found
