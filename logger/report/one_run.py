"""The report of one run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from logger import score_guide
from logger.catalogue import DIAGNOSTICS, PICTURES, beside_random
from logger.reading import Run
from logger.report import charts
from logger.report.page import picture_of, render
from logger.run_directory import RunDirectory
from logger.score_guide import number

ARROW = {"higher": "↑", "lower": "↓", "": ""}
PATHS = ("log_path", "quiet", "num_threads", "resume")  # arguments that change no result
# Section of a picture -> its heading among what is folded, and the start of the tags of its numbers.
FOLDED = {
    "scores": ("Scores: pictures", None),
    "latents": ("What each latent does", None),
    "group": ("The group", "algebra/"),
    "symmetries": ("Symmetries", "equivariance_error/"),
}


def page(run: Run, left_out: Sequence[str] = ()) -> str:
    """The page of one run."""
    sessions = RunDirectory(run.path).sessions()
    first = sessions[0] if sessions else {}
    changed = {name: value for name, value in first.get("changed", {}).items() if name not in PATHS}
    folded = []
    for section, (heading, tags) in FOLDED.items():
        names = [name for name, entry in PICTURES.items() if entry.section == section and name != "traversals"]
        figures = [figure for name in names if (figure := picture_of(run, name))]
        numbers = _numbers(run, tags) if tags else []
        if figures or numbers:
            folded.append((heading, numbers, figures))
    return render(
        "one_run.html",
        [run],
        left_out,
        [] if run.state in ("finished", "unknown") else [f"The run is {run.state}."],
        title=f"{run.args.get('model', 'model')} on {run.args.get('dataset', 'unknown data')}",
        name=run.name,
        facts=_facts(run, sessions),
        command=first.get("command", ""),
        changed={name: str(run.args.get(name, value)) for name, value in changed.items()},
        traversal=picture_of(run, "traversals"),
        scores=_scores(run),
        sources=score_guide.SOURCES if _published(run) else {},
        protocol=_protocol(run),
        loss=_loss_shares(run, str(first.get("equation", ""))),
        curves=[*charts.curves(run), *charts.scores_over_training({"this run": [run]})],
        held_out=run.args.get("split") != 0,
        verdicts=_verdicts(run),
        folded=folded,
        arguments=[[name, str(value)] for name, value in sorted(run.args.items())],
    )


def _facts(run: Run, sessions: Sequence[dict]) -> list[str]:
    """Data, seed, length, loss, date and duration, machine, revision, as far as they are known."""
    steps, loss = run.curve("train/loss").step.max(), run.last("validation/loss")
    last = sessions[-1] if sessions else {}
    spent = sum(
        (datetime.fromisoformat(one["stopped"]) - datetime.fromisoformat(one["started"])).total_seconds()
        for one in sessions
        if "stopped" in one
    )
    facts = [f"data: {run.args.get('data_source', 'not recorded')}", f"seed {run.args.get('seed', 'not recorded')}"]
    if not math.isnan(steps):
        facts.append(f"{int(steps):,} steps of {run.args.get('batch_size', '?')} images")
    if loss is not None:
        facts.append(f"loss {charts.validation_name(run)} {loss:.2f}")
    if run.started:
        facts.append(f"{run.started[:16].replace('T', ' ')} UTC, {_duration(spent)}")
    if "processor" in last:
        facts.append(f"{last['processor']}, {last['device']}, {last['precision']}")
    if last.get("revision"):
        facts.append(f"code {str(last['revision'])[:9]}")
    return facts


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _scores(run: Run) -> list[tuple[str, list[str], list]]:
    """Question, head, rows, the paper's first: value, direction and ideal, published values, a sentence each."""
    remarks, sources = score_guide.remarks(run.scores, run.protocol), _published(run)
    tables = []
    for question, group in score_guide.grouped(run.scores).items():
        shown = sources if question == score_guide.PAPER else {}
        rows = []
        for score in group:
            code = f"{score.key}: " if score.name != score.key else ""
            interval = score_guide.interval(run.scores, score.key)
            between = "95%: {} to {}".format(*map(number, interval)) if interval else ""
            below = "; ".join(filter(None, [between, remarks.get(score.key)]))
            rows.append(
                [
                    (score.name, f"{code}{score.question.replace('`', '')}".strip(": "), False),
                    (number(run.scores[score.key]), below, False),
                    f"{ARROW[score.better]} {score_guide.ideal(score)}".strip(),
                    *(_cell(found.get(score.key)) for found in shown.values()),
                ]
            )
        tables.append((question, ["score", "value", "better, ideal", *shown], rows))
    return tables


def _cell(published: score_guide.Published | None) -> tuple[str, str, bool]:
    """Mean, deviation and setting of a published score; empty for None."""
    if published is None:
        return "", "", False
    return f"{published.mean:.3f} ±\u00a0{published.deviation:.3f}", published.setting, False


def _published(run: Run) -> dict[str, dict[str, score_guide.Published]]:
    data = run.protocol.get("dataset", run.args.get("dataset"))
    return score_guide.published(data, run.args.get("model"), run.protocol.get("varying_factors"))


def _protocol(run: Run) -> str:
    plain = {name: value for name, value in run.protocol.items() if isinstance(value, str | int | float)}
    text = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in sorted(plain.items()))
    return f"Protocol: {text}." if text else ""


def _loss_shares(run: Run, equation: str) -> list[list[str]]:
    """The terms of the loss: weight, last training value, their product, its share; empty if they are not known."""
    parts = equation.split(" + ") if equation else []
    if "total_correlation" not in equation:
        parts.append("hy_tc total_correlation")  # older versions recorded the equation of the model alone
    terms = []
    for part in parts:
        *names, term = part.split()
        value, factors = run.last(f"train/{term}"), [run.args.get(name, 1.0) for name in names]
        if value is not None and all(isinstance(factor, int | float) and factor for factor in factors):
            weight = math.prod(factors)
            terms.append((term, f"{' '.join(names)} = {weight:g}" if names else "1", value, weight * value))
    total = sum(abs(weighted) for *_, weighted in terms)
    return [
        [term, weight, number(value), number(weighted), f"{abs(weighted) / total:.0%}"]
        for term, weight, value, weighted in (terms if total else ())
    ]


def _verdicts(run: Run) -> list[str]:
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


def _numbers(run: Run, start: str) -> list[list[str]]:
    """The last values of all tags that start so: those of the catalogue, then the others."""
    others = sorted({*run.scalars.tag} - DIAGNOSTICS.keys())
    names = DIAGNOSTICS | {tag: tag.replace("/", ", ").replace("_", " ") for tag in others}
    found = {text: run.last(tag) for tag, text in names.items() if tag.startswith(start)}
    return [[text, number(value)] for text, value in found.items() if value is not None]
