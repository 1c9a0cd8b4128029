"""The report of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from logger import score_guide
from logger.catalogue import DIAGNOSTICS, PICTURES, SECTIONS, beside_random
from logger.reading import Run
from logger.report import charts
from logger.report.page import Figure, Table, left_out_note, picture_of, render, replica_note
from logger.run_directory import RunDirectory
from logger.score_guide import number

ARROW = {"higher": "↑", "lower": "↓", "": ""}


def page(run: Run, left_out: Sequence[str] = ()) -> str:
    """The page of one run."""
    sessions = RunDirectory(run.path).sessions()
    first = sessions[0] if sessions else {}
    own = {"scores", "curves"}
    folded = []
    for anchor, heading in SECTIONS.items():
        names = [name for name, entry in PICTURES.items() if entry.section == anchor and name != "traversals"]
        figures = [figure for name in names if (figure := picture_of(run, name))]
        table = _numbers(run, {"group": "algebra/", "symmetries": "equivariance_error/"}.get(anchor, " "))
        if figures or table:
            folded.append((f"{heading}: pictures" if anchor in own else heading, table, figures))
    return render(
        "one_run.html",
        [replica_note([run]), left_out_note(left_out), _state(run)],
        title=f"{run.args.get('model', 'model')} on {run.args.get('dataset', 'unknown data')}",
        name=run.name,
        facts=_facts(run, sessions),
        command=first.get("command", ""),
        changed=_changed(run, first),
        traversal=picture_of(run, "traversals"),
        scores=score_tables(run),
        sources=score_guide.SOURCES if _published(run) else {},
        protocol=_protocol(run),
        loss=loss_shares(run, str(first.get("equation", ""))),
        curves=[*charts.curves(run), *charts.scores_over_training([("this run", [run])])],
        held_out=run.args.get("split") != 0,
        verdicts=verdicts(run),
        folded=folded,
        arguments=Table(["argument", "value"], [[n, str(v)] for n, v in sorted(run.args.items())], 2),
    )


def _facts(run: Run, sessions: Sequence[dict]) -> list[str]:
    """Data, seed, length, date and duration, machine, revision."""
    steps = run.curve("train/loss").step.max()
    spent = sum(
        (datetime.fromisoformat(one["stopped"]) - datetime.fromisoformat(one["started"])).total_seconds()
        for one in sessions
        if "stopped" in one
    )
    last = sessions[-1] if sessions else {}
    loss = run.last("validation/loss")
    return [
        f"data: {run.args.get('data_source', 'not recorded')}",
        f"seed {run.args.get('seed', 'not recorded')}",
        *([] if math.isnan(steps) else [f"{int(steps):,} steps of {run.args.get('batch_size', '?')} images"]),
        *([] if loss is None else [f"loss {charts.validation_name(run)} {loss:.2f}"]),
        *([f"{run.started[:16].replace('T', ' ')} UTC, {_duration(spent)}"] if run.started else []),
        *([f"{last['processor']}, {last['device']}, {last['precision']}"] if "processor" in last else []),
        *([f"code {str(last['revision'])[:9]}"] if last.get("revision") else []),
    ]


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _state(run: Run) -> str:
    return "" if run.state in ("finished", "unknown") else f"The run is {run.state}."


def _changed(run: Run, session: dict) -> dict[str, str]:
    """What is not at its default, of what changes results; empty if that was not recorded."""
    paths = ("log_path", "quiet", "num_threads", "resume")
    return {
        name: str(run.args.get(name, value)) for name, value in session.get("changed", {}).items() if name not in paths
    }


def score_tables(run: Run) -> list[tuple[str, Table]]:
    """Question -> its scores, the paper's first: value, direction and ideal, published values, a sentence each."""
    remarks, sources = score_guide.remarks(run.scores, run.protocol), _published(run)
    tables = []
    for question, group in score_guide.grouped(run.scores).items():
        first = question == score_guide.PAPER
        head = ["score", "value", "better, ideal", *(sources if first else [])]
        rows = []
        for score in group:
            interval = score_guide.interval(run.scores, score.key)
            between = "" if interval is None else f"95%: {number(interval[0])} to {number(interval[1])}"
            below = "; ".join(filter(None, [between, remarks.get(score.key, "")]))
            row: list = [_named(score), (number(run.scores[score.key]), below, False)]
            row.append(f"{ARROW[score.better]} {score_guide.ideal(score)}".strip())
            rows.append(row + [_cell(found.get(score.key)) for found in (sources if first else {}).values()])
        tables.append((question, Table(head, rows)))
    return tables


def _named(score: score_guide.Score) -> tuple[str, str, bool]:
    code = f"{score.key}: " if score.name != score.key else ""
    return score.name, f"{code}{score.question.replace('`', '')}".strip(": "), False


def _cell(published: score_guide.Published | None) -> tuple[str, str, bool]:
    """Mean, deviation and setting of a published score; empty for None."""
    if published is None:
        return "", "", False
    return f"{published.mean:.3f} ±\u00a0{published.deviation:.3f}", published.setting, False


def _published(run: Run) -> Mapping[str, Mapping]:
    data = run.protocol.get("dataset", run.args.get("dataset"))
    return score_guide.published(data, run.args.get("model"), run.protocol.get("varying_factors"))


def _protocol(run: Run) -> str:
    plain = {name: value for name, value in run.protocol.items() if isinstance(value, str | int | float)}
    text = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(plain.items()))
    return f"Protocol: {text}." if text else ""


def loss_shares(run: Run, equation: str) -> Table | None:
    """The terms of the loss, as weight times last training value, and their shares; None if they are not known."""
    rows = []
    parts = equation.split(" + ") if equation else []
    if "total_correlation" not in equation:
        parts.append("hy_tc total_correlation")  # of any model
    for part in parts:
        *weight, term = part.split()
        value, factor = run.last(f"train/{term}"), run.args.get(weight[0], 1.0) if weight else 1.0
        if value is not None and isinstance(factor, int | float) and factor:
            rows.append((term, weight[0] if weight else "", factor, value, factor * value))
    total = sum(abs(row[-1]) for row in rows)
    if not total:
        return None
    body = [
        [term, f"{name} = {factor:g}" if name else "1", number(value), number(weighted), f"{abs(weighted) / total:.0%}"]
        for term, name, factor, value, weighted in rows
    ]
    return Table(["term", "weight", "last training value", "weighted", "share"], body, 2)


def verdicts(run: Run) -> list[str]:
    """What the numbers of the group say, a sentence each; empty without a group."""
    found = []
    for kind, what, zero, otherwise in (
        ("product", "products A_i A_j", "the Hessian penalty has done its work", "not zero"),
        ("commutator", "commutators [A_i, A_j]", "the matrices commute", "not commutative"),
    ):
        if compared := beside_random(run.last, kind):
            value, random, verdict = compared
            words = {"zero": zero, "smaller": f"smaller, but {otherwise}", "as random": otherwise}
            found.append(f"{what}: {value:.3f}, of random matrices: {random:.3f}: {words[verdict]}")
    if (error := run.last("algebra/decomposition_error_relative")) is not None:
        said = "one latent is one one-parameter subgroup" if error < 0.05 else "the latents do not act one by one"
        found.append(f"decomposition error: {error:.3f} of the group element's distance from the identity: {said}")
    return found


def _numbers(run: Run, group: str) -> Table | None:
    """The last values of all tags that start with `group`; None if there are none."""
    tags = sorted(tag for tag in set(run.scalars.tag) if tag.startswith(group) and tag not in DIAGNOSTICS)
    names = {tag: text for tag, text in DIAGNOSTICS.items() if tag.startswith(group)}
    names |= {tag: tag.replace("/", ", ").replace("_", " ") for tag in tags}
    rows = [[text, number(last)] for tag, text in names.items() if (last := run.last(tag)) is not None]
    return Table(["at the last validation", "value"], rows) if rows else None


__all__ = ["Figure", "page", "score_tables"]
