"""One line a score: what is logged, how it is called, what it asks, which values are published.

The screen, reports, tables, TensorBoard and the documentation read this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

# The questions that scores answer, in the order of lists and tables.
ONE_FACTOR = "Does one latent hold one factor?"
INFORMATION = "Is all information there?"
INDEPENDENCE = "Are the latents independent?"
SYMMETRY = "Do the symmetries act linearly?"
AGREEMENT = "Do several runs agree?"
GROUPS = (ONE_FACTOR, INFORMATION, INDEPENDENCE, SYMMETRY, AGREEMENT)


class Published(NamedTuple):
    """A published score as a fraction of 1: mean and standard deviation over ten runs. setting: how it was trained."""

    mean: float
    deviation: float
    setting: str


@dataclass(frozen=True)
class Score:
    """What is said of a score.

    Attributes:
        key: name in the log, as `dmetric/<key>`.
        name: name on the screen.
        question: what it asks and how to read it, one sentence.
        group: one of GROUPS.
        better: `higher` or `lower`; empty if neither is better.
        ideal: value of an ideal code; None if that depends on the data.
        least_factors: minimum number of varying factors; with fewer, every code has the same score.
        published: (source, data set, model) -> published value; the sources are in SOURCES.
    """

    key: str
    name: str
    question: str
    group: str = ONE_FACTOR
    better: str = "higher"
    ideal: float | None = 1.0
    least_factors: int = 1
    published: dict[tuple[str, str, str], Published] = field(default_factory=dict, compare=False)


# fmt: off
_LINES = (
    Score("fac_eval", "FactorVAE score", "share of votes that predict the fixed factor; lower for rotated codes, not for copies", least_factors=2),  # noqa: E501
    Score("fac_train", "FactorVAE score, training votes", "the same on the training votes; if far above `fac_eval`: too few votes", least_factors=2),  # noqa: E501
    Score("fac_num_act", "active latents", "number of latents in use (deviation at least 0.1); check it first", better="", ideal=None),  # noqa: E501
    Score("SAP_score", "SAP", "linear MIG: 0 for copies, and for factors represented non-linearly"),
    Score("discrete_mig", "MIG, without left-out factors", "as below, without `shape` (dSprites) or `floor_hue` (3D Shapes), as the reference logs it"),  # noqa: E501
    Score("discrete_mig_all_factors", "MIG, all factors", "the usual MIG: 0 if two latents represent a factor equally"),
    Score("val_hig_acc", "beta-VAE score", "accuracy of the pair classifier on fresh pairs; low for rotated codes, not for copies", least_factors=2),  # noqa: E501
    Score("hig_acc", "beta-VAE score, training points", "training accuracy of the pair classifier", least_factors=2),
    Score("dci_disentanglement", "DCI disentanglement", "is each latent important for one factor only? copies do not lower it", least_factors=2),  # noqa: E501
    Score("dci_completeness", "DCI completeness", "is each factor represented by one latent only? copies lower it"),
    Score("modularity_score", "modularity", "is each latent informative about one factor only? high for mixtures and noise, too: see explicitness", least_factors=2),  # noqa: E501
    Score("factor_leakage_mean", "factor leakage", "information about a factor outside its best latent, in nats", better="lower", ideal=0.0),  # noqa: E501
    Score("factor_leakage_norm_mean", "factor leakage, relative", "the same relative to the best latent: 1 if all latents are equally informative", better="lower", ideal=0.0),  # noqa: E501
    Score("factor_leakage_auc", "factor leakage, area", "area under the leakage as the best latents are removed one by one; at best 1 / d^2", better="lower", ideal=None),  # noqa: E501
    Score("factor_leakage_nm_auc", "factor leakage, area without the best", "the same from the second latent on", better="lower", ideal=0.0),  # noqa: E501
    Score("IRS", "interventional robustness", "does a latent stay constant while its factor is fixed? copies do not lower it; noise scores 0.3"),  # noqa: E501
    Score("IRS_unweighted", "interventional robustness, unweighted", "the same with equal weights for all varying latents"),  # noqa: E501
    Score("dci_informativeness_train", "DCI informativeness, training points", "trees overfit: not meaningful on its own", INFORMATION),  # noqa: E501
    Score("dci_informativeness_test", "DCI informativeness", "how well the factors can be predicted; guessing gives the mean of 1 / size", INFORMATION),  # noqa: E501
    Score("explicitness_score_train", "explicitness, training points", "can a linear classifier predict the values? guessing gives 0.5", INFORMATION),  # noqa: E501
    Score("explicitness_score_test", "explicitness", "the same on fresh points", INFORMATION),
    Score("reconstruction_error", "reconstruction error", "squared error of an image, summed over its pixels; not a measure of disentanglement", INFORMATION, "lower", 0.0, 0),  # noqa: E501
    Score("gaussian_total_correlation", "Gaussian total correlation", "total correlation of the latents in nats; large for copies, 0 for a collapsed code", INDEPENDENCE, "lower", 0.0, 0),  # noqa: E501
    Score("gaussian_wasserstein_correlation", "Gaussian Wasserstein correlation", "dependence as a distance, in squared units of the code", INDEPENDENCE, "lower", 0.0, 0),  # noqa: E501
    Score("gaussian_wasserstein_correlation_norm", "Gaussian Wasserstein correlation, normalised", "the same divided by the total variance of the code", INDEPENDENCE, "lower", 0.0, 0),  # noqa: E501
    Score("mutual_info_score", "mutual information of the latents", "mean mutual information of two latents in nats; includes non-linear dependence, and some bias", INDEPENDENCE, "lower", 0.0, 0),  # noqa: E501
    Score("downstream_rep", "downstream steps", "can a forest predict the step between two codes? guessing gives 1 / 2k; more training pairs raise it", SYMMETRY),  # noqa: E501
    Score("independence_score", "independence of the steps", "do steps of different factors point in different directions? the basis does not matter", SYMMETRY),  # noqa: E501
    Score("cyclic_order_error", "cyclic order error", "does a step, repeated for all values, return to the start? circles do (0), lines do not", SYMMETRY, "lower", 0.0),  # noqa: E501
    Score("symmetry_code_error", "symmetry error in the code", "error of the linear step relative to no step; high for lines, which jump from the last value to the first", SYMMETRY, "lower", 0.0),  # noqa: E501
    Score("symmetry_image_error", "symmetry error in the image", "squared error per pixel of the decoded linear step; needs a decoder", SYMMETRY, "lower", 0.0),  # noqa: E501
    Score("UDR", "UDR", "do two runs learn the same latents? needs no factors; chance correlations lower it a little", AGREEMENT, least_factors=0),  # noqa: E501
)
# fmt: on

SCORES: dict[str, Score] = {score.key: score for score in _LINES}

# The first scores of reports and of TensorBoard's comparison, and the others on the screen after a run.
HEADLINES = ("fac_eval", "SAP_score", "discrete_mig", "val_hig_acc", "dci_disentanglement", "fac_num_act")
ON_SCREEN: tuple[str, ...] = ("dci_completeness", "modularity_score", "explicitness_score_test")
ON_SCREEN += ("reconstruction_error", "gaussian_total_correlation", "independence_score")

# Column of the table of runs -> score, from left to right.
COLUMNS = {
    "fac": "fac_eval",
    "fac_dim": "fac_num_act",
    "beta": "val_hig_acc",
    "mig": "discrete_mig",
    "dci_info": "dci_informativeness_test",
    "dci_dis": "dci_disentanglement",
    "dci_comp": "dci_completeness",
    "mod": "modularity_score",
    "explicit": "explicitness_score_test",
    "sap": "SAP_score",
    "fl": "factor_leakage_mean",
}

SOURCES = {
    "paper": "Zhu, Xu, Tao, Commutative Lie Group VAE for Disentanglement Learning, ICML 2021 (arXiv 2106.03375)",
    "re-run": "an independent re-run of the model, from the public README of CFASL",
}
_PAPER = (  # data set, model, score, mean, deviation, setting
    ("dsprites", "lie_group", "fac_eval", 0.861, 0.020, "70 epochs, batch 256"),
    ("shapes3d", "lie_group", "fac_eval", 0.932, 0.040, "batch 256"),
    ("dsprites", "lie_group", "SAP_score", 0.541, 0.012, "ablation, hy_hes 20"),
    ("dsprites", "lie_group", "discrete_mig", 0.297, 0.031, "ablation, hy_hes 20"),
    ("dsprites", "bottleneck_vae", "fac_eval", 0.746, 0.081, "ablation"),
    ("dsprites", "vae", "fac_eval", 0.694, 0.109, "ablation"),
    ("dsprites", "factor_conv_vae", "fac_eval", 0.8215, 0.0088, "as the paper cites it"),
)
# data set, model, setting, then percent and deviation of the five scores named below
# fmt: off
_RERUN = (
    ("dsprites", "lie_group", "batch 64, 300k steps", (82.33, 5.59), (86.80, 3.43), (22.96, 6.08), (7.07, 0.86), (31.23, 5.32)),  # noqa: E501
    ("dsprites", "beta", "batch 64, 300k steps", (73.54, 6.47), (83.20, 7.07), (13.19, 4.48), (5.69, 1.98), (21.49, 6.30)),  # noqa: E501
    ("dsprites", "beta_tcvae", "batch 64, 300k steps", (79.19, 5.87), (89.2, 4.73), (23.95, 10.13), (7.20, 0.66), (35.33, 9.07)),  # noqa: E501
    ("shapes3d", "lie_group", "batch 64, 500k steps", (74.60, 11.06), (83, 10.64), (47.09, 18.56), (5.58, 2.22), (58.17, 11.36)),  # noqa: E501
)
# fmt: on
for _data, _model, _key, _mean, _deviation, _setting in _PAPER:
    SCORES[_key].published["paper", _data, _model] = Published(_mean, _deviation, _setting)
for _data, _model, _setting, *_percent in _RERUN:
    _keys = ("fac_eval", "val_hig_acc", "discrete_mig", "SAP_score", "dci_disentanglement")
    for _key, (_mean, _deviation) in zip(_keys, _percent, strict=True):
        SCORES[_key].published["re-run", _data, _model] = Published(_mean / 100, _deviation / 100, _setting)
