"""The report of one run, section by section."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from logger import score_guide
from logger.catalogue import PICTURES, SECTIONS
from logger.reading import Run
from logger.report import charts
from logger.report.parts import Cell, Figure, Section, Table, Text, panels, picture_figure, render
from logger.score_guide import number

DIAGNOSTICS = {
    "algebra/product_norm": "mean norm of the products A_i A_j, i not j",
    "algebra/product_norm_relative": "products relative to ||A_i|| ||A_j||",
    "algebra/commutator_norm": "mean norm of the commutators [A_i, A_j]",
    "algebra/commutator_norm_relative": "commutators relative to ||A_i|| ||A_j||",
    "algebra/product_norm_random": "the same of products of random matrices",
    "algebra/decomposition_error": "decomposition error ||exp(sum z_j A_j) - prod exp(z_j A_j)||",
    "algebra/decomposition_error_relative": "the same relative to ||exp(sum z_j A_j) - I||",
    "algebra/condition_number_median": "condition number of the group elements, median",
    "algebra/condition_number_max": "condition number of the group elements, largest",
    "equivariance_error/mean": "equivariance error of the best latent, mean over factors",
}
NO_LOSSES = "No losses were logged."
ARROW = {"higher": "↑", "lower": "↓", "": ""}


def page(run: Run, left_out: Sequence[str] = ()) -> str:
    """The page of one run."""
    title = f"{run.args.get('model', 'model')} on {run.args.get('dataset', 'unknown data')}: {run.name}"
    own = {
        "scores": scores(run),
        "curves": curves(run),
        "group": diagnostics(run, "algebra/"),
        "symmetries": diagnostics(run, "equivariance_error/"),
    }
    sections = []
    for anchor, heading in SECTIONS.items():
        drawn = pictures(run, [name for name, entry in PICTURES.items() if entry.section == anchor])
        sections.append(Section(heading, anchor, [*own.get(anchor, []), *drawn]))
    arguments = [[name, str(value)] for name, value in sorted(run.args.items())]
    if arguments:
        folded = Table(["argument", "value"], arguments, numbers_from=2, folded=f"{len(arguments)} arguments")
        sections.append(Section("Configuration", "configuration", [folded]))
    return render(title, summary(run), [replica_note([run]), left_out_note(left_out)], sections)


def summary(run: Run) -> str:
    """One line: data, seed, steps, images seen, validation loss."""
    steps, images = (run.curve(tag).step.max() for tag in ("train/loss", "train_by_images_seen/loss"))
    facts = [
        f"data: {run.args.get('data_source', 'not recorded')}",
        f"seed {run.args.get('seed', 'not recorded')}",
        "" if math.isnan(steps) else f"{int(steps):,} steps",
        "" if math.isnan(images) else f"{int(images):,} images seen",
        "" if (loss := run.last("validation/loss")) is None else f"loss {charts.validation_name(run)} {loss:.2f}",
        "" if run.state in ("finished", "unknown") else f"the run is {run.state}",
    ]
    return ", ".join(filter(None, facts)) + "."


def replica_note(runs: Sequence[Run]) -> str:
    """A warning if a run used a replica; else empty."""
    sources = [record.get("data_source") for run in runs for record in (run.args, run.protocol)]
    if not any(str(source).startswith("replica") for source in sources):
        return ""
    return (
        "The images are a replica of the data set, rendered by this project from the same factors in the same order, "
        "not the official file. Compare with published scores with care."
    )


def left_out_note(left_out: Sequence[str]) -> str:
    """A note on runs that could not be read; empty if there are none."""
    return f"{len(left_out)} left out. " + "; ".join(left_out) if left_out else ""


def scores(run: Run) -> list:
    """Tables of the scores, with published values if data set and model match."""
    if not run.scores:
        return [Text("No scores were taken. To score the run: python main.py --evaluate=True --log-path=<run>")]
    remarks = score_guide.remarks(run.scores, run.protocol)
    values = {name: [_value(run, name, remarks.get(name, ""))] for name in run.scores}
    over_training = panels(charts.scores_over_training([("this run", [run])]), "Scores during training.")
    return [*score_tables(values, ["this run"], [run]), Text(_protocol(run), "soft"), *over_training]


def score_tables(values: Mapping[str, Sequence[str | Cell]], columns: Sequence[str], runs: Sequence[Run]) -> list:
    """One table per question, all but the first folded; the first includes published values.

    Args:
        values: score -> its text in each of `columns`.
        runs: those scored. Published values are shown only if all are of one model on one data set: otherwise they
            would be ambiguous.
    """
    settings = [
        (
            run.protocol.get("dataset", run.args.get("dataset")),
            run.args.get("model"),
            run.protocol.get("varying_factors"),
        )
        for run in runs
    ]
    sources = score_guide.published(*settings[0]) if settings.count(settings[0]) == len(settings) else {}
    parts: list = []
    for question, group in score_guide.grouped(values).items():
        rows = []
        for score in group:
            code = score.key if score.name != score.key else ""
            row = [Cell(score.name, code, score.question.replace("`", "")), *values[score.key]]
            rows.append([*row, f"{ARROW[score.better]} {score_guide.ideal(score)}".strip()])
            if not parts:
                rows[-1] += [published_cell(source.get(score.key)) for source in sources.values()]
        head = ["score", *columns, "ideal"]
        first = not parts
        parts.append(Table([*head, *sources] if first else head, rows, folded="" if first else question))
    note = "↑ higher is better, ↓ lower is better."
    if sources:
        named = "; ".join(f"{source}: {score_guide.SOURCES[source]}" for source in sources)
        note += (
            f" Published values are mean ± standard deviation over 10 runs. {named}. Compare only runs "
            "with the training length stated below each value, scored with the full preset."
        )
    parts.insert(1, Text(note, "soft"))
    return parts


def published_cell(score: score_guide.Published | None) -> Cell:
    """Mean, deviation and setting of a published score; empty for None."""
    return Cell("") if score is None else Cell(f"{score.mean:.3f} ±\u00a0{score.deviation:.3f}", below=score.setting)


def _value(run: Run, name: str, remark: str) -> Cell:
    """The value of a score, and below it its interval and remark, if any."""
    interval = score_guide.interval(run.scores, name)
    between = "" if interval is None else f"95%: {number(interval[0])} to {number(interval[1])}"
    return Cell(number(run.scores[name]), below="; ".join(filter(None, [between, remark])))


def _protocol(run: Run) -> str:
    plain = {name: value for name, value in run.protocol.items() if isinstance(value, str | int | float)}
    text = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(plain.items()))
    return f"Protocol: {text}." if text else "How the scores were measured was not recorded."


def curves(run: Run) -> list:
    """Every loss term over training."""
    text = "Training terms are of single batches; validation is in evaluation mode, at the mean code."
    if run.args.get("split") == 0:
        text += " No image was held out (--split 0): the second curve is of training images."
    return panels(charts.curves(run), text, NO_LOSSES)


def diagnostics(run: Run, group: str) -> list:
    """A table of the last values of all tags that start with `group`."""
    tags = sorted(tag for tag in set(run.scalars.tag) if tag.startswith(group) and tag not in DIAGNOSTICS)
    names = {tag: text for tag, text in DIAGNOSTICS.items() if tag.startswith(group)}
    names |= {tag: tag.replace("/", ", ").replace("_", " ") for tag in tags}
    rows = [[text, number(last)] for tag, text in names.items() if (last := run.last(tag)) is not None]
    return [Table(["at the last validation", "value"], rows)] if rows else []


def pictures(run: Run, names: Iterable[str]) -> list[Figure | Text]:
    """Those of the pictures that the run has."""
    return [picture_figure(run.pictures[name], name) for name in names if name in run.pictures]
