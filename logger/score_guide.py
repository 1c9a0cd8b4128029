"""How to read the scores: name, question, which way is better, the ideal value. The order is that of every table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

PAPER = "The paper's scores"
ONE = "Does one latent hold one factor?"
ALL = "Is all information there?"
APART = "Are the latents independent?"
SYMMETRY = "Do the symmetries act linearly?"
OTHER = "Other scores"
HIGH, LOW, NEITHER = "higher", "lower", ""


class Score(NamedTuple):
    """`name` in the log; `title` for people; `better` is HIGH, LOW or NEITHER; `ideal` as text, empty where none."""

    name: str
    title: str
    question: str
    better: str
    ideal: str
    reading: str


SCORES = [
    Score("fac_eval", "FactorVAE score", PAPER, HIGH, "1", "votes that name the factor held fixed"),
    Score("SAP_score", "SAP", PAPER, HIGH, "1", "linear gap between a factor's best two latents"),
    Score("discrete_mig", "MIG, as the paper logs it", PAPER, HIGH, "1", "all factors but the first"),
    Score("val_hig_acc", "beta-VAE score", PAPER, HIGH, "1", "a classifier names the factor that pairs share"),
    Score("dci_disentanglement", "DCI disentanglement", PAPER, HIGH, "1", "does a latent serve one factor?"),
    Score("fac_num_act", "active latents", PAPER, NEITHER, "", "at 0, no other score says anything"),
    Score("discrete_mig_all_factors", "MIG, all factors", ONE, HIGH, "1", "0 where two latents share a factor evenly"),
    Score("dci_completeness", "DCI completeness", ONE, HIGH, "1", "is a factor held by one latent?"),
    Score("modularity_score", "modularity", ONE, HIGH, "1", "does a latent know one factor? read it with explicitness"),
    Score("RMIG", "RMIG", ONE, HIGH, "1", "MIG on 100 bins"),
    Score("JEMMIG", "JEMMIG", ONE, HIGH, "1", "MIG that also asks the best latent to know nothing else"),
    Score("IRS", "interventional robustness", ONE, HIGH, "1", "does a latent stay put while its factor is fixed?"),
    Score("IRS_unweighted", "IRS, unweighted", ONE, HIGH, "1", "every varying latent counted alike"),
    Score("factor_leakage_mean", "factor leakage", ONE, LOW, "0", "nats about a factor outside its best latent"),
    Score("factor_leakage_norm_mean", "factor leakage, relative", ONE, LOW, "0", "1 where all latents know the same"),
    Score("factor_leakage_auc", "factor leakage, area", ONE, LOW, "0", "what leaks as the best latents are struck out"),
    Score("factor_leakage_nm_auc", "the same from the second latent", ONE, LOW, "0", ""),
    Score("dci_forest_disentanglement", "DCI disentanglement, forests", ONE, HIGH, "1", ""),
    Score("dci_forest_completeness", "DCI completeness, forests", ONE, HIGH, "1", ""),
    Score("dci_lasso_disentanglement", "DCI disentanglement, lasso", ONE, HIGH, "1", "where informative"),
    Score("dci_lasso_completeness", "DCI completeness, lasso", ONE, HIGH, "1", ""),
    Score("fac_train", "FactorVAE score, training votes", ONE, HIGH, "1", "far above the score: too few votes"),
    Score("hig_acc", "beta-VAE score, training", ONE, HIGH, "1", ""),
    Score("dci_informativeness_test", "DCI informativeness", ALL, HIGH, "1", "accuracy of trees on fresh points"),
    Score("explicitness_score_test", "explicitness", ALL, HIGH, "1", "linear readability, ROC AUC: 0.5 is guessing"),
    Score("reconstruction_error", "reconstruction error", ALL, LOW, "0", "squared, summed over pixels"),
    Score("dci_forest_informativeness_test", "DCI informativeness, forests", ALL, HIGH, "1", ""),
    Score("dci_lasso_informativeness_test", "DCI informativeness, lasso", ALL, HIGH, "1", "R^2: linear content only"),
    Score("dci_informativeness_train", "DCI informativeness, training", ALL, HIGH, "1", "trees memorise"),
    Score("explicitness_score_train", "explicitness, training", ALL, HIGH, "1", ""),
    Score("dci_forest_informativeness_train", "DCI informativeness, forests, training", ALL, HIGH, "1", ""),
    Score("dci_lasso_informativeness_train", "DCI informativeness, lasso, training", ALL, HIGH, "1", ""),
    Score("gaussian_total_correlation", "total correlation", APART, LOW, "0", "nats, of a Gaussian fit"),
    Score("gaussian_wasserstein_correlation", "Wasserstein correlation", APART, LOW, "0", "squared units of the code"),
    Score("gaussian_wasserstein_correlation_norm", "the same over the variance", APART, LOW, "0", ""),
    Score("mutual_info_score", "mutual information of two latents", APART, LOW, "0", "mean over pairs, nats"),
    Score("independence_score", "independence of steps", SYMMETRY, HIGH, "1", "do factors step in own directions?"),
    Score("cyclic_order_error", "cyclic order error", SYMMETRY, LOW, "0", "does a step return, all the way round?"),
    Score("symmetry_code_error", "error of the linear step, codes", SYMMETRY, LOW, "0", "standing still is 1"),
    Score("symmetry_image_error", "error of the linear step, images", SYMMETRY, LOW, "0", "squared, mean over pixels"),
    Score("downstream_rep", "downstream", SYMMETRY, HIGH, "1", "a forest names the step between two codes"),
]  # fmt: skip
BY_NAME = {score.name: score for score in SCORES}


def describe(name: str) -> Score:
    """What is known of a score; for one that is not listed, its name alone."""
    return BY_NAME.get(name, Score(name, name, OTHER, NEITHER, "", ""))


def grouped(names: Iterable[str]) -> dict[str, list[Score]]:
    """Question -> the scores among `names`, in the order of the list; what is not listed comes last. `_se` are none."""
    names = set(names)
    known = [score for score in SCORES if score.name in names]
    others = sorted(n for n in names - BY_NAME.keys() if not (n.endswith("_se") and n[:-3] in names))
    groups: dict[str, list[Score]] = {}
    for score in [*known, *map(describe, others)]:
        groups.setdefault(score.question, []).append(score)
    return groups
