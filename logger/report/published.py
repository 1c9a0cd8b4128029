"""Published scores to compare with."""

from __future__ import annotations

from typing import NamedTuple

PAPER, RERUN = "paper", "re-run"
SOURCES = {
    PAPER: "Zhu, Xu, Tao, Commutative Lie Group VAE for Disentanglement Learning, ICML 2021 (arXiv 2106.03375)",
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
    Published(PAPER, "dsprites", "lie_group", "fac_eval", 0.861, 0.020, "70 epochs, batch 256"),
    Published(PAPER, "shapes3d", "lie_group", "fac_eval", 0.932, 0.040, "batch 256"),
    Published(PAPER, "dsprites", "lie_group", "SAP_score", 0.541, 0.012, "ablation, hy_hes 20"),
    Published(PAPER, "dsprites", "lie_group", "discrete_mig", 0.297, 0.031, "ablation, hy_hes 20"),
    Published(PAPER, "dsprites", "bottleneck_vae", "fac_eval", 0.746, 0.081, "ablation"),
    Published(PAPER, "dsprites", "vae", "fac_eval", 0.694, 0.109, "ablation"),
    Published(PAPER, "dsprites", "factor_conv_vae", "fac_eval", 0.8215, 0.0088, "as the paper cites it"),
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
