"""Draws study/figures: the ablation's scores, what the Hessian penalty does, and the published command over epochs."""

from __future__ import annotations

from pathlib import Path

import pandas

from logger.charts import OKABE_ITO, figure
from study import plan
from study.records import records
from study.report import analyses, samples
from system.files import replacing

ABLATION = [c.name for c in plan.rows("short")]
WEIGHTS = {0: "small_hes_0", 40: "small_hes_40", 4000: "small_hes_4000", 40000: "small_hes_40000"}
NONE = 4  # where the weight 0 stands on the logarithmic axis


def write(study: Path) -> None:
    """Draw every figure of the page."""
    (study / "figures").mkdir(parents=True, exist_ok=True)
    for draw in (ablation, hessian, published):
        with replacing(study / "figures" / f"{draw.__name__}.png") as temporary:
            draw(study, temporary)


def ablation(study: Path, file: Path) -> None:
    """One point per run and a bar at the mean, for the models of the short ablation; `fast` protocol."""
    scores = ("FactorVAE", "MIG, all factors", "DCI")
    with figure(12, 4.2, left=0.6, bottom=1.5) as canvas:
        for axes, score in zip(canvas.subplots(1, len(scores)), scores, strict=True):
            for place, name in enumerate(ABLATION):
                values = samples(study, plan.by_name(name), "fast")[score].astype(float)
                axes.plot([place] * len(values), values, "o", ms=5, alpha=0.7, color=OKABE_ITO[0])
                axes.hlines(values.mean(), place - 0.3, place + 0.3, color="black") if len(values) else None
            labels = [name.removeprefix("short_") for name in ABLATION]
            axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
            axes.set(title=f"{score} (%)", ylim=(0, None), xlim=(-0.5, len(labels) - 0.5))
        canvas.savefig(file, format="png", dpi=100)


def hessian(study: Path, file: Path) -> None:
    """Above: how commutative the basis is against the weight of the penalty. Below: MIG of every seed."""
    with figure(8, 6.4, left=0.9, bottom=0.7) as canvas:
        above, below = canvas.subplots(2, 1, sharex=True)
        titles = {"product": "products, relative", "commutator": "commutators, relative"}
        titles["decomposition"] = "decomposition error, relative"
        places = [weight or NONE for weight in WEIGHTS]
        found = {weight: analyses(study, plan.by_name(name)) for weight, name in WEIGHTS.items()}
        for (name, title), colour in zip(titles.items(), OKABE_ITO, strict=False):
            means = [pandas.Series([run["basis"][name] for run in runs]).mean() for runs in found.values()]
            above.plot(places, means, "o-", label=title, color=colour)
        above.axhline(0.1**0.5, color="0.5", ls=":", label="products of random matrices")
        above.set(ylabel="0: commutative", ylim=(0, None), title="The group, after a fifth of an epoch, three seeds")
        above.legend()
        for weight, name in WEIGHTS.items():
            values = samples(study, plan.by_name(name), "fast")["MIG, all factors"].astype(float)
            below.plot([weight or NONE] * len(values), values, "o", color=OKABE_ITO[0], alpha=0.7)
        below.set(xscale="log", xlabel="weight of the Hessian penalty (published: 40)", ylabel="MIG, all factors (%)")
        below.set(ylim=(0, None))
        below.set_xticks(places, [f"{weight:,}" for weight in WEIGHTS])
        below.minorticks_off()
        canvas.savefig(file, format="png", dpi=100)


def published(study: Path, file: Path) -> None:
    """The FactorVAE score of the published dSprites command over epochs, with the paper's mean ± deviation."""
    mean, deviation = plan.by_name("dsprites").paper["FactorVAE"]
    with figure(8, 3.8, left=0.8) as canvas:
        axes = canvas.subplots()
        for (_, seed, folder), colour in zip(records(study, "dsprites"), OKABE_ITO, strict=False):
            curve = pandas.read_csv(folder / "curve.csv")
            axes.plot(curve.epoch, 100 * curve["dmetric/fac_eval"], color=colour, label=f"seed {seed}, fast protocol")
        axes.axhspan(mean - deviation, mean + deviation, color="0.85", label="paper, after 70 epochs: mean ± sd of 10")
        axes.set(xlabel="epoch", ylabel="FactorVAE score (%)", xlim=(0, 71))
        axes.legend(loc="lower right")
        canvas.savefig(file, format="png", dpi=100)
