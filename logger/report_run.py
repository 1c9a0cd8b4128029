"""The report of one run, section by section."""

from __future__ import annotations

import math
from pathlib import Path

from logger import grids, page, paper_scores, report_charts
from logger.catalogue import PICTURES
from logger.page import Html, element, join, section
from logger.reading import Run

DIAGNOSTICS = {
    "algebra/product_norm": "mean norm of the products A_i A_j, i not j",
    "algebra/commutator_norm": "mean norm of the commutators [A_i, A_j]",
    "algebra/decomposition_error": "decomposition error ||exp(sum z_j A_j) - prod exp(z_j A_j)||",
    "algebra/decomposition_error_relative": "the same relative to ||exp(sum z_j A_j) - I||",
    "algebra/condition_number_median": "condition number of the group elements, median",
    "algebra/condition_number_max": "condition number of the group elements, largest",
    "equivariance_error/mean": "equivariance error of the best latent, mean over factors",
}
LATENTS = ("traversals", "traversals_mean", "traversal_animation", "training_animation", "reconstructions")
GROUP = ("algebra", "eigenvalues", "group_elements", "equivariance")
SYMMETRY = ("composition", "factor_paths")
MATRICES = ("mutual_information", "importance")


def report(run: Run) -> str:
    """The whole page of one run."""
    title = f"{run.args.get('model', 'model')} on {run.args.get('dataset', 'unknown data')}: {run.name}"
    sections = [
        section("Scores", *scores(run), *pictures(run, MATRICES), anchor="scores"),
        section("Learning curves", curves(run), anchor="curves"),
        section("What each latent does", *pictures(run, LATENTS), anchor="latents"),
        section("The group", diagnostics(run), *pictures(run, GROUP), anchor="group"),
        section("Symmetries", *pictures(run, SYMMETRY), anchor="symmetries"),
        section("Configuration", configuration(run), anchor="configuration"),
    ]
    return page.page(title, element("h1", title), summary(run), replica_note([run]), contents(), *sections)


def contents() -> Html:
    """Links to the sections."""
    names = ("scores", "curves", "latents", "group", "symmetries", "configuration")
    return element("nav", *[element("a", name, href=f"#{name}") for name in names], aria_label="sections")


def summary(run: Run) -> Html:
    """One line on what was trained, on what, for how long."""
    steps = int(run.scalars[run.scalars.tag == "train/loss"].step.max()) if len(run.curve("train/loss")) else 0
    images = run.curve("train_by_images_seen/loss").step
    facts = [
        f"data: {run.args.get('data_source', '?')}",
        f"seed {run.args.get('seed', '?')}",
        f"{steps:,} steps",
        f"{int(images.max()) if len(images) else 0:,} images seen",
    ]
    if (loss := run.last("validation/loss")) is not None:
        facts.append(f"validation loss {loss:.2f}")
    return element("p", ", ".join(facts) + ".", class_="soft")


def replica_note(runs: list[Run]) -> Html:
    """A warning where images were drawn by the project itself."""
    sources = {run.args.get("data_source") for run in runs} | {run.protocol.get("data_source") for run in runs}
    if "replica" not in sources:
        return Html("")
    text = (
        "The images are the project's own replica of the data set, drawn from the same factors in the same order, not "
        "the published file. Published scores stand here for orientation."
    )
    return element("p", text, class_="note")


def scores(run: Run) -> list[Html]:
    """The score table, published values beside the run's own where data set and model match."""
    if not run.scores:
        return [element("p", "No scores were taken: python main.py --evaluate=True --log-path=<run> takes them.")]
    dataset = run.protocol.get("dataset", run.args.get("dataset", ""))
    sources = paper_scores.published(dataset, run.args.get("model", ""))
    rows, further = [], []
    for metric in paper_scores.ordered(run.scores):
        row = [name_cell(metric), number(run.scores[metric])]
        if metric in paper_scores.NAMES:
            rows.append(row + [published_cell(values.get(metric)) for values in sources.values()])
        else:
            further.append(row)
    plain = {name: value for name, value in run.protocol.items() if isinstance(value, str | int | float)}
    protocol = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(plain.items()))
    result = [page.table(["score", "this run", *sources], rows)]
    if protocol:
        result.append(element("p", f"Protocol: {protocol}.", class_="soft"))
    result.append(published_note(list(sources)))
    if further:
        more = page.table(["score", "this run"], further)
        result.append(element("details", element("summary", f"{len(further)} further scores"), more))
    return result


def published_note(sources: list[str]) -> Html:
    """What the published columns are; nothing where there are none."""
    if not sources:
        return Html("")
    named = "; ".join(f"{source}: {paper_scores.SOURCES[source]}" for source in sources)
    text = (
        f"Published values are mean ± standard deviation over 10 runs, percentages divided by 100. {named}. Compare "
        "only runs trained as long as stated below each value, scored with the full preset."
    )
    return element("p", text, class_="soft")


def name_cell(metric: str) -> Html:
    """The name of a score for people, and the one in the log where it differs."""
    name = paper_scores.reading_name(metric)
    return join([name]) if name == metric else join([name, Html(" "), element("code", metric, class_="soft")])


def published_cell(score: paper_scores.Published | None) -> str:
    """Mean, deviation and setting; nothing where there is none."""
    if score is None:
        return ""
    value = f"{score.mean:.3f} ± {score.deviation:.3f}"
    return join([value, Html(" "), element("span", score.setting, class_="soft")])


def curves(run: Run) -> Html:
    """Loss curves as a picture with what they end at in its alternative text."""
    last = {tag: run.last(tag) for tag in ("train/loss", "validation/loss", "validation/kl")}
    ends = ", ".join(f"{tag} {value:.2f}" for tag, value in last.items() if value is not None)
    caption = "Training terms are those of single batches; validation is in evaluation mode, at the mean code."
    return drawn(report_charts.curves(run), f"Loss curves over training. Last values: {ends or 'none'}.", caption)


def diagnostics(run: Run) -> Html:
    """The numbers of the last validation."""
    names = dict(DIAGNOSTICS)
    factors = {t for t in set(run.scalars.tag) if t.startswith("equivariance_error/")} - set(DIAGNOSTICS)
    names |= {tag: f"equivariance error, {tag.split('/')[1]}" for tag in sorted(factors)}
    rows = [[text, number(run.last(tag))] for tag, text in names.items() if run.last(tag) is not None]
    if not rows:
        return element("p", "No diagnostics were logged.")
    return page.table(["at the last validation", "value"], rows)


def number(value: float | None) -> str:
    """Four decimals, or four significant digits where those would be too few or too many."""
    if value is None or not math.isfinite(value):
        return "–" if value is None else str(value)
    return f"{value:.4f}" if 1e-3 <= abs(value) < 10 else f"{value:.4g}"


def pictures(run: Run, names: tuple[str, ...]) -> list[Html]:
    """Those of the named pictures that the run has."""
    return [picture(run.pictures[name], name) for name in names if name in run.pictures]


def picture(path: Path, name: str, title: str | None = None) -> Html:
    """A picture of the catalogue under its title, with how to read it."""
    entry = PICTURES[name]
    title = title or entry.title
    caption = [element("strong", title + ". "), entry.reading]
    return page.figure(path.read_bytes(), path.suffix, _width(path), f"{title}. {entry.reading}", *caption)


def drawn(array, alt: str, *caption: str) -> Html:
    """A picture made for the report."""
    return page.figure(grids.png_bytes(array), ".png", array.shape[1], alt, *caption)


def configuration(run: Run) -> Html:
    """All arguments."""
    rows = [[element("code", name), element("code", str(value))] for name, value in sorted(run.args.items())]
    content = page.table(["argument", "value"], rows, numbers_from=2)
    return element("details", element("summary", f"{len(rows)} arguments"), content)


def _width(path: Path) -> int:
    from PIL import Image

    with Image.open(path) as image:
        return image.width
