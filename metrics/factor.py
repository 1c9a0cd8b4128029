"""FactorVAE score: which latent varies least while one factor is held fixed?"""

from __future__ import annotations

import numpy as np

from metrics.inputs import deviations
from metrics.metric import ONE_FACTOR, Metric, Score
from metrics.presets import Preset

ACTIVE_DEVIATION = 0.1
AT_ONCE = 2**20  # numbers of codes in memory at once: those of all votes would be gigabytes for hundreds of latents


def draw(source, preset: Preset, rng: np.random.Generator) -> dict:
    """Draw all samples of the protocol.

    Returns: `variance` `[factor_variance_points]`; per split (`train`, `eval`), `<split>_label` `[votes]` (the fixed
        factor) and `<split>_rows` `[votes, factor_batch]`: a random sample, then different ones that share its value.
    """
    more = preset.factor_batch - 1
    drawn = {"variance": source.random(rng, (preset.factor_variance_points,)), "varies_label": source.varying}
    for split, votes in (("train", preset.factor_train_votes), ("eval", preset.factor_eval_votes)):
        fixed = rng.choice(source.varying, votes) if len(source.varying) else np.zeros(votes, dtype=np.int64)  # [votes]
        first = source.with_partner(rng, fixed)[:, None]  # [votes, 1]
        others = source.another(rng, np.repeat(first, more, 1), np.repeat(fixed[:, None], more, 1))
        drawn[f"{split}_label"], drawn[f"{split}_rows"] = fixed, np.concatenate([first, others], axis=1)
    return drawn


def _votes(codes, rows: np.ndarray, fixed: np.ndarray, deviation: np.ndarray, factors: int) -> np.ndarray:
    """Count how often each latent varies least for each fixed factor: float64 `[factors, active]`.

    Latents that vary equally little, such as those of a discrete code that do not vary at all, share the vote.

    rows: `[votes, batch]`, whose codes are `[votes, batch, d]`. fixed: factors `[votes]`. deviation: `[d]`.
    """
    active = np.flatnonzero(deviation >= ACTIVE_DEVIATION)
    counts = np.zeros((factors, len(active)))
    step = max(1, AT_ONCE // (rows.shape[1] * len(deviation)))
    for start in range(0, len(rows), step):
        z = codes(rows[start : start + step])[..., active]  # [step, batch, active]
        relative = z.var(axis=1, ddof=1, dtype=np.float64) / deviation[active] ** 2  # [step, active]
        relative[(z == z[:, :1]).all(axis=1)] = 0.0  # the rounding of a mean may leave more than that
        least = relative == relative.min(axis=1, keepdims=True)  # [step, active]
        np.add.at(counts, fixed[start : start + step], least / least.sum(axis=1, keepdims=True))
    return counts


def score(codes, drawn: dict) -> dict[str, float]:
    """Does the latent that varies least identify the factor that is held fixed?

    1. Variance of each latent over 10,000 samples (ddof 1); latents with a standard deviation below 0.1 are dropped.
    2. A vote: draw a factor and 64 samples that share its value; the vote is for the latent with the smallest variance
       relative to that of step 1. Latents that do not vary at all in such samples share the vote equally.
    3. From 10,000 votes: each latent predicts the factor for which it got most votes. `fac_train` is the accuracy of
       these predictions on the same votes.
    4. `fac_eval`: the accuracy on 5,000 fresh votes. `fac_num_act`: the number of latents kept in step 1.

    Range [0, 1]; ideal 1; an uninformative code about 1 / (number of varying factors); a collapsed code (no active
    latent) 0, 0, 0; without any varying factor the accuracies are 0. Several latents may represent one factor, and a
    latent of several factors may still get the votes, so 1 does not prove disentanglement. Constant factors are not
    drawn. Invariant to offset and to dead latents; to scale only if the same latents reach a deviation of 0.1.

    Source: Kim & Mnih 2018, section 4; activity threshold as in the reference. `codes` maps indices `[...]` to
    `[..., d]`.
    """
    deviation = deviations(codes(drawn["variance"]))  # [d]
    active = int((deviation >= ACTIVE_DEVIATION).sum())
    if not active or not len(drawn["varies_label"]):
        return {"fac_train": 0.0, "fac_eval": 0.0, "fac_num_act": float(active)}
    factors = int(max(drawn["train_label"].max(), drawn["eval_label"].max())) + 1
    votes = {
        split: _votes(codes, drawn[f"{split}_rows"], drawn[f"{split}_label"], deviation, factors)
        for split in ("train", "eval")
    }
    favourite = votes["train"].argmax(axis=0)  # [active]
    right = {split: counts[favourite, np.arange(active)].sum() / counts.sum() for split, counts in votes.items()}
    return {"fac_train": float(right["train"]), "fac_eval": float(right["eval"]), "fac_num_act": float(active)}


METRIC = Metric(
    "factor_vae",
    "FactorVAE score: which latent varies least while one factor is held fixed",
    ONE_FACTOR,
    (
        Score(
            "fac_eval",
            "FactorVAE score",
            "share of votes that predict the fixed factor; lower for rotated codes, not for copies",
            column="fac",
            place=1,
            headline=1,
            least_factors=2,
        ),
        Score(
            "fac_train",
            "FactorVAE score, training votes",
            "the same on the training votes; if far above `fac_eval`: too few votes",
            least_factors=2,
        ),
        Score(
            "fac_num_act",
            "active latents",
            "number of latents in use (deviation at least 0.1); check it first",
            better="",
            ideal=None,
            column="fac_dim",
            place=2,
            headline=6,
        ),
    ),
    lambda request: score(request.codes, request.drawn),
    draw,
    on_tables=False,
)
