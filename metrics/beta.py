"""beta-VAE score: can a linear classifier tell from code differences which factor a batch of pairs shares?"""

from __future__ import annotations

import warnings

import numpy as np

from metrics.inputs import constant
from metrics.metric import ONE_FACTOR, Metric, Score
from metrics.presets import Preset

SOLVER = {"tol": 1e-8, "max_iter": 10_000}  # L-BFGS; 30 to 10,000 iterations, at most about a second


def draw(source, preset: Preset, rng: np.random.Generator) -> dict:
    """Draw all samples of the protocol.

    Returns: for each split (`train`, `eval`), `<split>_label` `[points]` (the shared factor), and the pairs
        `<split>_first` and `<split>_second` `[points, batch]`, always of two different samples.
    """
    points, batch = preset.beta_points, preset.beta_batch
    drawn = {"varies_label": source.varying}  # [varying]
    for split in ("train", "eval"):
        fixed = rng.choice(source.varying, points) if len(source.varying) else np.zeros(points, dtype=np.int64)
        shared = np.repeat(fixed[:, None], batch, axis=1)  # [points, batch]
        first = source.with_partner(rng, shared)  # [points, batch]
        drawn[f"{split}_label"], drawn[f"{split}_first"] = fixed, first
        drawn[f"{split}_second"] = source.another(rng, first, shared)
    return drawn


def score(codes, drawn: dict) -> dict[str, float]:
    """Can a linear classifier predict from differences of codes which factor the two samples of a pair share?

    1. A point: draw a factor, and 5 pairs of samples; the samples of a pair share the value of this factor. The feature
       `[d]` is the mean over pairs of |z_1 - z_2|, the label is the factor.
    2. Multinomial logistic regression without regularisation on 1,000 points; `hig_acc` is its training accuracy.
    3. `val_hig_acc`: its accuracy on 1,000 fresh points.

    Range [0, 1]; ideal 1; an uninformative code about 1 / (number of varying factors). A rotated code scores in
    between; copies of latents have no effect. Constant factors are not drawn; with one varying factor the score
    is 1, without any it is 0. Invariant to scale and offset of each latent, and to dead latents.

    Source: Higgins et al. 2017, section 3, with the features of Locatello et al. 2019. Convention: features are
    divided by their training deviation before the fit. This does not change the optimum, but the solver then reaches it
    at every scale. `codes` maps indices `[...]` to `[..., d]`.

    The regression is solved to the tolerance of SOLVER, so that the accuracies of codes that differ by rounding are
    within 0.003 of each other; at scikit-learn's tolerance of 1e-4 they differed by up to 0.008. If a class is
    separable, the optimum is at infinity: `hig_acc` is then that of the optimum, and `val_hig_acc` depends by a few
    points of 1,000 on where the solver stops.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features = {}  # [points, d] each
    for split in ("train", "eval"):
        first, second = (codes(drawn[f"{split}_{side}"]).astype(np.float64) for side in ("first", "second"))
        features[split] = np.abs(first - second).mean(axis=1)
    if len(np.unique(drawn["train_label"])) < 2:
        return dict.fromkeys(("hig_acc", "val_hig_acc"), float(len(drawn["varies_label"]) > 0))
    largest = features["train"].max(axis=0)  # [d]
    features = {split: values / np.where(largest > 0, largest, 1.0) for split, values in features.items()}
    deviation = features["train"].std(axis=0)  # [d]
    scale = np.where(constant(features["train"]), 1.0, deviation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the optimum of separable points is at infinity
        model = LogisticRegression(C=np.inf, **SOLVER).fit(features["train"] / scale, drawn["train_label"])
    return {
        name: float(model.score(features[split] / scale, drawn[f"{split}_label"]))
        for name, split in (("hig_acc", "train"), ("val_hig_acc", "eval"))
    }


METRIC = Metric(
    "beta_vae",
    "beta-VAE score: a linear classifier predicts from code differences which factor is shared",
    ONE_FACTOR,
    (
        Score(
            "hig_acc", "beta-VAE score, training points", "training accuracy of the pair classifier", least_factors=2
        ),
        Score(
            "val_hig_acc",
            "beta-VAE score",
            "accuracy of the pair classifier on fresh pairs; low for rotated codes, not for copies",
            column="beta",
            place=3,
            headline=4,
            least_factors=2,
        ),
    ),
    lambda request: score(request.codes, request.drawn),
    draw,
    on_tables=False,
)
