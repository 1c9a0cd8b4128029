"""beta-VAE score: can a linear classifier tell from code differences which factor a batch of pairs shares?"""

from __future__ import annotations

import warnings

import numpy as np


def draw(source, points: int, batch: int, rng: np.random.Generator) -> dict:
    """Every sample of the protocol. Per split `label` `[points]` (the shared factor), and the pairs `first` and
    `second` `[points,
    batch]`.
    """
    drawn = {}
    for split in ("train", "eval"):
        fixed = rng.choice(source.varying, points) if len(source.varying) else np.zeros(points, dtype=np.int64)
        first = source.random(rng, (points, batch))  # [points, batch]
        drawn[f"{split}_label"], drawn[f"{split}_first"] = fixed, first
        drawn[f"{split}_second"] = source.sharing(rng, first, np.broadcast_to(fixed[:, None], first.shape))
    return drawn


def score(codes, drawn: dict) -> dict[str, float]:
    """Do the latents that agree within a pair reveal which factor the pair shares?

    1. A point: draw a factor; 5 pairs of samples, each pair sharing its value of that factor and nothing else by
       design; the mean over pairs of |z_1 - z_2| is the feature `[d]`, the factor the label.
    2. Multinomial logistic regression without regularisation on 1,000 points; `hig_acc` is its accuracy on them.
    3. `val_hig_acc`: its accuracy on 1,000 fresh points.

    Range [0, 1]; ideal 1; a useless code about 1 / (number of varying factors). A rotated code scores in between
    (its latents differ whatever is shared), copies cost nothing. Constant factors are not drawn; with fewer than
    two varying factors the answer is known: 1.

    Source: Higgins et al. 2017, section 3, with the features of Locatello et al. 2019. Convention: features are
    divided by their training deviation before the fit, which changes no unregularised optimum but lets the solver
    reach it at every scale. `codes` maps indices `[...]` to `[..., d]`.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features = {
        split: np.abs(codes(drawn[f"{split}_first"]) - codes(drawn[f"{split}_second"])).mean(axis=1, dtype=np.float64)
        for split in ("train", "eval")
    }  # [points, d] each
    if len(np.unique(drawn["train_label"])) < 2:
        return {"hig_acc": 1.0, "val_hig_acc": 1.0}
    deviation = features["train"].std(axis=0)  # [d]
    scale = np.where(deviation > 0, deviation, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # separable points have their optimum at infinity
        model = LogisticRegression(C=np.inf, max_iter=1000).fit(features["train"] / scale, drawn["train_label"])
    return {
        name: float(model.score(features[split] / scale, drawn[f"{split}_label"]))
        for name, split in (("hig_acc", "train"), ("val_hig_acc", "eval"))
    }
