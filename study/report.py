"""Writes study/README.md: the tables, from the records of the runs and the plan."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pandas

from study import analysis, plan
from study.harvest import record, record_folders, status
from study.plan import SCORES, Configuration
from study.tables import summary, table
from system.files import read_json

INTRODUCTION = """# The paper's tables, measured

This page compares the scores of the paper, of an independent re-run, and of this code. Scores are in percent: mean ±
standard deviation over seeds, and in brackets the 95 % confidence interval of the mean (Student's t).

- *paper*: {paper}.
- *re-run*: {rerun}.
- MIG leaves out the first factor, as the authors' code does; "all factors" is the usual definition. Definitions of SAP
  and MIG differ between sources, see [docs/metrics.md](../docs/metrics.md). The protocol, `full` (the literature's
  sample sizes) or `fast`, is given above each table.
- Only runs that reached the budget of their row count; the others are listed under [Incomplete](#incomplete).

## In short

{summary}
## Run it

```bash
python -m study                     # start missing runs, continue interrupted ones, update this page
python -m study --list              # only list missing runs
python -m study --only hes_40 --into again --logs logs/again    # repeat one row from scratch
python -m study --harvest RUN ...   # add runs from other folders
python -m study --analyse RUN ...   # for unfinished runs: what scores lose to rotations, and measures of the basis
python -m study --report            # write this page anew, from runs/ and plan.toml
```

Each run uses one thread; `--jobs N` runs N at a time. Kept weights are scored once all runs are trained. SIGTERM and
Ctrl-C stop the runs after a checkpoint; the same command continues them. `runs/` holds the records of each run:
arguments, sessions, scores, and losses and scores by epoch; `states/` what interrupted runs are continued from, also on
another machine. To score the weights in `checkpoints/`, draw their pictures and write their report:

```bash
python main.py --evaluate=True --log-path=study/checkpoints/dsprites
python -m logger.report study/checkpoints/dsprites
```
"""


def text(study: Path) -> str:
    """The contents of README.md."""
    begun = [g for g in plan.GROUPS if figure_names(study, g)]
    parts = [INTRODUCTION.format(**plan.PLAN), _progress(study), *(_section(study, group) for group in begun)]
    parts += [_planned([g for g in plan.GROUPS if g not in begun]), _incomplete(study), _runs(study), _commands()]
    return "\n".join(part for part in parts if part)


def _section(study: Path, group: str) -> str:
    """A group of which a run has begun: its text, tables, figures, and traversals."""
    about, members = plan.GROUPS[group], plan.rows(group)
    preset = preset_of(study, members)
    parts = [f"## {about['title']}\n", about["text"].strip() + "\n"]
    parts += [f"Scores: `{preset}` protocol, at the end of the budget.\n"] if preset else []
    parts += [_table(study, members, preset or "fast"), _differences(study, group)]
    parts += [analysis.rotation_table(study, members), analysis.basis_table(study, members)]
    parts += [about["reading"].strip() + "\n"] if "reading" in about else []
    parts += [f"![{name}](figures/{name}.png)\n" for name in figure_names(study, group)]
    for c in members:
        if kept := status(study / "checkpoints" / c.name):
            args = read_json(study / "checkpoints" / c.name / "args.json")
            after = f"after {kept['epochs']} of {kept['budget']} epochs"
            parts.append(f"Traversals of seed {args['seed']}, {after}; its weights are in `checkpoints/{c.name}`.\n")
            parts.append(f"![traversals](checkpoints/{c.name}/traversals.png)\n")
    return "\n".join(part for part in parts if part)


def _planned(groups: Sequence[str]) -> str:
    """The groups of which no run has begun, with the published scores of their configurations."""
    lines, rows = [], []
    for group in groups:
        about, members = plan.GROUPS[group], plan.members(group)
        names = ", ".join(f"`{c.name}`" for c in members)
        lines.append(f"- *{about['title']}* ({names}). {' '.join(about['text'].split())}\n")
        rows += [[f"`{c.name}`", *row[1:]] for c in members for row in _published(c)]
    published = table(["configuration", "source", "n", *SCORES], rows) if rows else ""
    return "\n".join(["## Not measured yet\n", "".join(lines), published]) if lines else ""


def _progress(study: Path) -> str:
    """One sentence: how many runs of the plan are complete, and the hours spent."""
    jobs = list(plan.jobs())
    states = [state["state"] for c, seed in jobs if (state := status(record(study, c, seed)))]
    complete, time = states.count("finished"), sum(hours(folder) for *_, folder in records(study))
    return (
        f"So far, {complete} of the {len(jobs)} runs of the plan are complete, {len(states) - complete} in progress, "
        f"after {time:.1f} hours (wall time of runs with one thread, in part beside other work).\n"
    )


def samples(study: Path, configuration: Configuration, preset: str) -> pandas.DataFrame:
    """The scores at the end of the budget, in percent, of every run that reached it: `[seeds, scores]`.

    preset: `fast` (scored after every epoch) or `full` (scored from kept weights).
    """
    rows = {}
    for source in (configuration, *([plan.by_name(configuration.also)] if configuration.also else [])):
        for seed, folder in record_folders(study, source.name):
            if preset == "full":
                file = folder / f"scores_epoch_{configuration.epochs}.json"
                values = read_json(file)["scores"] if file.is_file() else {}
            else:
                curve = pandas.read_csv(folder / "curve.csv").set_index("epoch")
                at_end = curve.loc[configuration.epochs] if configuration.epochs in curve.index else {}
                values = {tag.removeprefix("dmetric/"): value for tag, value in dict(at_end).items()}
            if values:
                rows[seed] = {c: 100 * values[n] for c, n in SCORES.items()}
    return pandas.DataFrame.from_dict(rows, orient="index", columns=list(SCORES)).sort_index()


def preset_of(study: Path, configurations: Sequence[Configuration]) -> str | None:
    """`full` if all runs that reached their budget have full scores, else `fast`; None if there are no such runs."""
    counts = [(len(samples(study, c, "fast")), len(samples(study, c, "full"))) for c in configurations]
    if not any(fast for fast, _ in counts):
        return None
    return "full" if all(fast == full for fast, full in counts) else "fast"


def _table(study: Path, configurations: Sequence[Configuration], preset: str) -> str:
    rows = []
    for c in configurations:
        found = samples(study, c, preset)
        rows.append([f"`{c.name}`", "this code", f"{len(found)}", *(summary(found[score]) for score in SCORES)])
        rows += _published(c)
    return table(["configuration", "source", "n", *SCORES], rows)


def _published(configuration: Configuration) -> list[list[str]]:
    """Rows of published scores, without the name of the configuration."""
    rows = []
    for source, values in (("paper", configuration.paper), ("re-run", configuration.rerun)):
        cells = ["{:.1f} ± {:.1f}".format(*values[score]) if score in values else "-" for score in SCORES]
        rows += [["", source, "10", *cells]] if values else []
    return rows


def _differences(study: Path, group: str) -> str:
    rows = []
    for first, second in plan.GROUPS[group].get("compare", ()):
        a, b = plan.by_name(first), plan.by_name(second)
        used = preset_of(study, [a, b]) or "fast"
        gaps = (samples(study, a, used) - samples(study, b, used)).dropna(how="all")  # over common seeds
        if len(gaps):
            cells = [summary(gaps[score]) for score in SCORES]
            rows.append([f"`{first}` - `{second}`", used, f"{len(gaps)}", *cells])
    return table(["paired difference over common seeds", "protocol", "n", *SCORES], rows) if rows else ""


def _incomplete(study: Path) -> str:
    """The newest scores of runs in progress, and a list of runs not started."""
    rows: list[list[str]] = []
    kept: list[list[str]] = []
    not_begun: dict[str, list[str]] = {}
    for c, seed in plan.jobs():
        folder = record(study, c, seed)
        state = status(folder)
        if not state:
            not_begun.setdefault(c.name, []).append(str(seed))
        elif state["state"] != "finished":
            curve = pandas.read_csv(folder / "curve.csv")
            last = curve.iloc[-1] if len(curve) else {}
            cells = [f"{100 * last['dmetric/' + n]:.1f}" if len(curve) else "-" for n in SCORES.values()]
            rows.append([f"`{c.name}`", str(seed), f"{state['epochs']} of {state['budget']}", *cells])
            kept += _kept_weights(c, seed, folder)
    parts = ["## Incomplete\n"]
    if rows:
        parts += ["The newest scores, `fast` protocol:\n", table(["run", "seed", "epochs", *SCORES], rows)]
    if kept:
        parts += [
            "Of weights kept on the way, `full` protocol:\n",
            table(["run", "seed", "epoch", *SCORES], kept),
        ]
    if not_begun:
        listed = "; ".join(f"`{name}` {', '.join(seeds)}" for name, seeds in not_begun.items())
        parts.append(f"Not started, by seeds: {listed}.\n")
    return "\n".join(parts) if rows or not_begun else ""


def _kept_weights(configuration: Configuration, seed: int, folder: Path) -> list[list[str]]:
    """Rows of the scores of kept weights, in the order of their epochs."""
    files = {int(file.stem.rpartition("_")[2]): file for file in folder.glob("scores_epoch_*.json")}
    rows = []
    for epoch in sorted(files):
        values = read_json(files[epoch])["scores"]
        cells = [f"{100 * values[name]:.1f}" for name in SCORES.values()]
        rows.append([f"`{configuration.name}`", str(seed), str(epoch), *cells])
    return rows


def _runs(study: Path) -> str:
    rows = []
    for c, seed, folder in records(study):
        state, args = status(folder), read_json(folder / "args.json")
        sessions = state["sessions"]
        precision, processor, threads = (_distinct(sessions, name) for name in ("precision", "processor", "threads"))
        revisions = ", ".join(dict.fromkeys(_short(s.get("revision")) for s in sessions))
        done = f"{state['epochs']} of {state['budget']}"
        cells = [precision, args["data_source"], processor, threads, revisions]
        rows.append([f"`{c.name}`", str(seed), done, *cells, f"{hours(folder):.1f}"])
    header = ["run", "seed", "epochs", "precision", "data", "processor", "threads", "revision", "hours"]
    return "\n".join(["## Every run\n", table(header, rows)]) if rows else ""


def _distinct(sessions: Sequence[dict], name: str) -> str:
    """The different values of an entry of sessions, in order; `?` if it was not recorded."""
    return "; ".join(dict.fromkeys(str(session.get(name, "?")) for session in sessions))


def records(study: Path) -> Iterator[tuple[Configuration, int, Path]]:
    """Yields (configuration, seed, folder) of every harvested run, in the order of the plan."""
    for c in plan.CONFIGURATIONS:
        yield from ((c, seed, folder) for seed, folder in record_folders(study, c.name))


def hours(folder: Path) -> float:
    """Total duration of the sessions of a run, in hours; without a session that has not stopped or saved anything."""
    ended = [session for session in status(folder)["sessions"] if "stopped" in session]
    times = [[datetime.fromisoformat(session[name]) for name in ("started", "stopped")] for session in ended]
    return sum((stopped - started).total_seconds() for started, stopped in times) / 3600


def figure_names(study: Path, group: str) -> list[str]:
    """The figures of a group: curves if a run of several epochs has begun, scores if a run has reached its budget."""
    members = plan.members(group)
    shown = {name for c in members for name in (c.name, c.also)}
    begun = any(c.name in shown and status(folder)["epochs"] for c, _, folder in records(study))
    names = []
    if begun and any(c.epochs > 1 for c in members):
        names.append(f"{group}_curves")
    if any(len(samples(study, c, "fast")) for c in members):
        names.append(f"{group}_scores")
    return names


def _commands() -> str:
    lines = [f"# {c.name}\npython main.py {shlex.join(c.command('N'))}" for c in plan.CONFIGURATIONS]
    return "## The commands\n\n```bash\n" + "\n".join(lines) + "\n```\n"


def _short(revision: str | None) -> str:
    """A commit abbreviated to seven digits, with `-dirty` if the code had uncommitted changes."""
    commit, _, dirty = (revision or "?").partition("-")
    return f"`{commit[:7]}{dirty and '-' + dirty}`"
