"""The tables of the study: results.md and runs.csv, from the records of the runs and the plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas
from scipy.stats import t, ttest_1samp

from study import plan
from study.plan import ROTATED, SCORES, Configuration
from study.records import hours, records, status
from system.files import read_json, write_text

HEAD = """# Results

Made by `python -m study --tables` from `runs/` and `plan.toml`; [README.md](README.md) says what they show.
Scores are in percent: mean ± standard deviation over n seeds, and from n = 3 on the 95 % confidence interval of the
mean (Student's t). MIG leaves out the first factor, as the authors' code does; "all factors" is the usual definition.

- *paper*: {paper}.
- *re-run*: {rerun}. Its SAP and MIG follow other definitions.
"""
ABOUT = ["data", "device", "precision"]


def write(study: Path) -> None:
    """Write results.md and runs.csv."""
    write_text(study / "results.md", text(study))
    write_text(study / "runs.csv", runs(study).to_csv(index=False, lineterminator="\n"))


def text(study: Path) -> str:
    """The contents of results.md."""
    parts, begun = [HEAD.format(**plan.PLAN)], {c.name for c, *_ in records(study)}
    for group, words in plan.GROUPS.items():
        rows = plan.rows(group)
        if any(c.group == group and c.name in begun for c in rows):
            parts.append(f"## {words['title']}\n\n{words['text'].strip()}\n")
            for preset in ("full", "fast"):
                parts += [scores_table(study, rows, preset), differences_table(study, group, preset)]
            parts += [tests_table(study, group), rotations_table(study, rows), basis_table(study, rows)]
    left = ", ".join(f"`{c.name}`" for c in plan.CONFIGURATIONS if c.name not in begun)
    parts += [incomplete_table(study), f"## Not begun\n\n{left}.\n" if left else ""]
    return "\n".join(filter(None, parts))


def runs(study: Path) -> pandas.DataFrame:
    """A row per run: configuration, seed, epochs, where it was trained, hours, and its scores by protocol."""
    rows = []
    for c, seed, folder in records(study):
        state = status(folder)
        row = {"configuration": c.name, "seed": seed, "epochs": state["epochs"], "budget": state["budget"]}
        row |= about(folder) | {"hours": f"{hours(folder):.2f}"}
        for preset in ("full", "fast"):
            values = scores_at(folder, c.epochs, preset)
            row |= {f"{preset}_{key}": f"{values[key]:.4f}" if key in values else "" for key in SCORES.values()}
        rows.append(row)
    return pandas.DataFrame(rows)


def about(folder: Path) -> dict[str, str]:
    """Data, device, processor, precision, threads, torch, revision of a record; of several sessions joined by ` + `."""
    names = ["device", "processor", "precision", "threads", "torch", "revision"]
    sessions = pandas.DataFrame(status(folder)["sessions"], columns=names, dtype=object).fillna("?").astype(str)
    sessions["revision"] = sessions["revision"].str[:7]
    found = {name: " + ".join(sessions[name].unique()) for name in names}
    return {"data": read_json(folder / "args.json").get("data_source", "?"), **found}


def scores_at(folder: Path, epoch: int, preset: str) -> dict[str, float]:
    """The scores of a record after an epoch: `fast` was taken during training, `full` from kept weights."""
    if preset == "full":
        file = folder / f"scores_epoch_{epoch}.json"
        return read_json(file)["scores"] if file.is_file() else {}
    curve = pandas.read_csv(folder / "curve.csv").set_index("epoch")
    row = curve.loc[epoch].dropna() if epoch in curve.index else {}
    return {tag.removeprefix("dmetric/"): value for tag, value in dict(row).items() if tag.startswith("dmetric/")}


def samples(study: Path, configuration: Configuration, preset: str) -> pandas.DataFrame:
    """Scores at the end of the budget, in percent, of every run that reached it: `[seeds, scores]`, and ABOUT."""
    rows = {}
    for _, seed, folder in records(study, configuration.name, configuration.also):
        if values := scores_at(folder, configuration.epochs, preset):
            rows[seed] = about(folder) | {name: 100 * values[key] for name, key in SCORES.items() if key in values}
    return pandas.DataFrame.from_dict(rows, orient="index", columns=[*SCORES, *ABOUT]).sort_index()


def scores_table(study: Path, configurations: Sequence[Configuration], preset: str) -> str:
    """The scores of a group under one protocol, with published ones below; empty if there are none."""
    rows = []
    for c in configurations:
        found = samples(study, c, preset)
        if len(found):
            where = [" / ".join(dict.fromkeys(found[name])) for name in ABOUT]
            rows.append([f"`{c.name}`", str(len(found)), *(summary(found[s]) for s in SCORES), *where])
            for source, values in (("paper", c.paper), ("re-run", c.rerun)):
                if values and preset == "full":  # published scores follow the full protocol
                    cells = ["{:.1f} ± {:.1f}".format(*values[s]) if s in values else "-" for s in SCORES]
                    rows.append([source, "10", *cells, "official", "", ""])
    title = f"Scores, `{preset}` protocol, at the end of the budget:\n\n"
    return table(["configuration", "n", *SCORES, *ABOUT], rows, title)


def differences_table(study: Path, group: str, preset: str) -> str:
    """Paired differences over common seeds under one protocol; empty if there are none."""
    rows = []
    for first, second in plan.GROUPS[group].get("compare", ()):
        gaps = difference(study, first, second, preset)
        if len(gaps):
            rows.append([f"`{first}` - `{second}`", str(len(gaps)), *(summary(gaps[s]) for s in SCORES)])
    return table([f"paired difference, `{preset}`", "n", *SCORES], rows)


def difference(study: Path, first: str, second: str, preset: str) -> pandas.DataFrame:
    """First minus second, over the seeds that both have: `[seeds, scores]`."""
    a, b = (samples(study, plan.by_name(name), preset)[list(SCORES)].astype(float) for name in (first, second))
    return (a - b).dropna(how="all")


def tests_table(study: Path, group: str) -> str:
    """The comparisons that were named before their last runs came in, with p-values corrected for their number."""
    rows, values = [], []
    for first, second, score in plan.GROUPS[group].get("tests", ()):
        full = difference(study, first, second, "full")[score].dropna()
        preset = "full" if len(full) >= 3 else "fast"
        gap = full if preset == "full" else difference(study, first, second, preset)[score].dropna()
        values.append(float(ttest_1samp(gap, 0).pvalue) if len(gap) >= 3 else None)
        rows.append([f"`{first}` - `{second}`", score, preset, str(len(gap)), summary(gap)])
    for row, *pair in zip(rows, values, holm(values), strict=True):
        row += ["-" if p is None else f"{p:.3f}" for p in pair]
    head = ["named comparison", "score", "protocol", "n", "difference", "p", f"p, of {len(rows)} (Holm)"]
    return table(head, rows)


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected by Holm's method; missing ones count among the number of comparisons."""
    corrected: list[float | None] = [None] * len(values)
    largest = 0.0
    for rank, (p, i) in enumerate(sorted((p, i) for i, p in enumerate(values) if p is not None)):
        largest = corrected[i] = max(largest, min(1.0, (len(values) - rank) * p))
    return corrected


def rotations_table(study: Path, configurations: Sequence[Configuration]) -> str:
    """Scores before and after rotations chosen with the factors, and what the search gains by chance."""
    rows = []
    for c in configurations:
        if found := analyses(study, c):
            row = [f"`{c.name}`", str(len(found))]
            for key in ROTATED:
                row.append(" → ".join(spread([100 * run[when][key] for run in found]) for when in ("before", "after")))
            chance = [100 * value for run in found for value in run.get("chance", {}).values()]
            rows.append([*row, spread(chance) if chance else "-"])
    titles = {key: name for name, key in SCORES.items()}
    return table(["rotated, `fast`", "n", *(titles[key] for key in ROTATED), "MIG gained by chance"], rows)


def basis_table(study: Path, configurations: Sequence[Configuration]) -> str:
    """Measures of the bases of Lie group VAEs, see `analysis.basis`; in brackets those of random matrices."""
    rows = []
    for c in configurations:
        found = pandas.DataFrame([run["basis"] for run in analyses(study, c) if "basis" in run])
        if len(found):
            chance = {"product": (1 / found["size"][0]) ** 0.5, "commutator": (2 / found["size"][0]) ** 0.5}
            cells = [f"{spread(found[name], 2)} ({value:.2f})" for name, value in chance.items()]
            share = f"{100 * found['share of the loss'].mean():.2g} %"
            rows.append([f"`{c.name}`", str(len(found)), *cells, spread(found["decomposition"], 2), share])
    relative = ["products, relative", "commutators, relative", "decomposition error"]
    return table(["basis", "n", *relative, "Hessian penalty of the loss"], rows)


def analyses(study: Path, configuration: Configuration) -> list[dict]:
    """The contents of analysis.json of every run of the configuration that has one."""
    files = [folder / "analysis.json" for *_, folder in records(study, configuration.name)]
    return [read_json(file) for file in files if file.is_file()]


def incomplete_table(study: Path) -> str:
    """The newest scores of runs that have not reached their budget."""
    rows = []
    for c, seed, folder in records(study):
        state = status(folder)
        if state["state"] != "finished":
            values, where = scores_at(folder, state["epochs"], "fast"), about(folder)
            cells = [f"{100 * values[key]:.1f}" if key in values else "-" for key in SCORES.values()]
            done = f"{state['epochs']} of {state['budget']}"
            rows.append([f"`{c.name}`", str(seed), done, *cells, *(where[name] for name in ABOUT)])
    title = "## Incomplete\n\nThe newest scores, `fast` protocol:\n\n"
    return table(["run", "seed", "epochs", *SCORES, *ABOUT], rows, title)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> str:
    """A Markdown table of texts under a title; empty without rows."""
    lines = ["| " + " | ".join(line) + " |\n" for line in [head, ["---"] * len(head), *rows]]
    return title + "".join(lines) if rows else ""


def summary(values: pandas.Series) -> str:
    """`mean ± standard deviation [95 % interval of the mean]`; the interval from three values on; `-` without any."""
    values = values.astype(float).dropna()
    n, mean = len(values), values.mean()
    if n < 3:
        return spread(values) if n else "-"
    half = t.ppf(0.975, n - 1) * values.std() / n**0.5
    return f"{spread(values)} [{mean - half:.1f}, {mean + half:.1f}]"


def spread(values: Sequence[float] | pandas.Series, digits: int = 1) -> str:
    """`mean ± standard deviation`."""
    values = pandas.Series(values, dtype=float)
    return f"{values.mean():.{digits}f}" + (f" ± {values.std():.{digits}f}" if len(values) > 1 else "")
