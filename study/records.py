"""What is kept of every run, in study/runs/<configuration>/seed_<n>/, and how it gets there.

args.json      the recorded arguments
status.json    epochs done, budget, and every session: time, device, processor, precision, revision
scores.json    the newest scores with their protocol; scores_epoch_<e>.json: those of weights kept after an epoch
curve.csv      one line per epoch: losses (metric/...) and scores (dmetric/...)
analysis.json  what the scores lose to rotations, and measures of the basis: study/analysis.py
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas

from logger.reading import log_lines
from logger.run_directory import RunDirectory
from study import plan
from study.plan import Configuration
from system.errors import UserError
from system.files import read_json, write_text

PLACES = ("log_path", "data_path", "eval_data_path")  # paths, which differ between machines
SCORE = "dmetric/" + plan.SCORES["FactorVAE"]


def collect(run: Path, study: Path) -> Path:
    """Copy the results of a run so far into study/runs; returns the folder.

    Raises:
        UserError: `run` is not a run, belongs to no configuration of the plan, or the existing record has more epochs.
    """
    run_dir = RunDirectory.existing(run, "--collect")
    args = run_dir.read_args()
    configuration = plan.of_run(args)
    folder = record(study, configuration.name, args["seed"])
    curve = read_curve(run_dir.metrics_file)
    before = status(folder)
    if before.get("epochs", 0) > len(curve):
        raise UserError(f"{run} has {len(curve)} epochs, {folder} has {before['epochs']} already: it stays as it is")
    folder.mkdir(parents=True, exist_ok=True)
    for file in [run_dir.scores_file, *run_dir.path.glob("scores_epoch_*.json")]:
        if file.is_file():
            write_text(folder / file.name, file.read_text(encoding="utf-8"))
    write_json(folder / "args.json", {name: value for name, value in args.items() if name not in PLACES})
    write_text(folder / "curve.csv", curve.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    # Sessions of before, such as those in another folder, stay, and so do entries made by hand.
    sessions: dict[str, dict] = {}
    for session in [*before.get("sessions", []), *run_dir.sessions()]:
        sessions[session["started"]] = {**sessions.get(session["started"], {}), **session}
    state = "finished" if len(curve) >= configuration.epochs else "interrupted"
    content = {"state": state, "epochs": len(curve), "budget": configuration.epochs}
    write_json(folder / "status.json", {**content, "sessions": [sessions[start] for start in sorted(sessions)]})
    return folder


def keep_weights(run: Path, study: Path) -> Path | None:
    """Copy the weights and traversals of a run to study/checkpoints if it is that of the median seed.

    Returns: the folder, a run for --evaluate; None if it is another seed, or the plan keeps no weights.
    """
    source = RunDirectory.existing(run)
    args = source.read_args()
    configuration = plan.of_run(args)
    if not configuration.checkpoint or median_seed(study, configuration.name) != args["seed"]:
        return None
    folder = RunDirectory(study / "checkpoints" / configuration.name)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    shutil.copy(source.model_file, folder.model_file)
    for name in ("args.json", "status.json", "scores.json"):
        shutil.copy(record(study, configuration.name, args["seed"]) / name, folder.path / name)
    (folder.path / "traversals.png").unlink(missing_ok=True)  # of another seed
    if (source.path / "traversals.png").is_file():
        shutil.copy(source.path / "traversals.png", folder.path)
    return folder.path


def read_curve(log: Path) -> pandas.DataFrame:
    """Read log_metrics.txt: one row per epoch, with `epoch` and the tags. Only the first scores of an epoch count.

    Epochs without scores are left out: a run that stopped before scoring repeats the epoch.
    """
    rows: list[dict[str, float]] = []
    for tag, value in log_lines(log):
        if not rows or (tag.startswith("metric/") and tag in rows[-1]):
            rows.append({})
        rows[-1].setdefault(tag, value)
    rows = [{"epoch": epoch, **row} for epoch, row in enumerate(rows, 1) if SCORE in row]
    return pandas.DataFrame(rows, columns=None if rows else ["epoch", SCORE])


def write_json(file: Path, content: dict) -> None:
    """Write a file of a record."""
    write_text(file, json.dumps(content, indent=2) + "\n")


def record(study: Path, name: str, seed: int) -> Path:
    """The folder of the record of a run."""
    return study / "runs" / name / f"seed_{seed}"


def records(study: Path, *names: str | None) -> Iterator[tuple[Configuration, int, Path]]:
    """Yields (configuration, seed, folder) of every record, or of these configurations', in the order of the plan."""
    for c in plan.CONFIGURATIONS:
        if not names or c.name in names:
            folders = [file.parent for file in (study / "runs" / c.name).glob("seed_*/status.json")]  # written last
            found = {int(folder.name.removeprefix("seed_")): folder for folder in folders}
            yield from ((c, seed, found[seed]) for seed in sorted(found))


def status(folder: Path) -> dict:
    """The contents of status.json of a record; empty if there is none."""
    file = folder / "status.json"
    return read_json(file) if file.is_file() else {}


def median_seed(study: Path, name: str) -> int | None:
    """The seed with the median FactorVAE score (of two, the lower) among the runs with the most epochs."""
    curves = {seed: pandas.read_csv(folder / "curve.csv")[SCORE] for _, seed, folder in records(study, name)}
    longest = max(map(len, curves.values()), default=0)
    ranked = sorted((curve.iloc[-1], seed) for seed, curve in curves.items() if len(curve) == longest > 0)
    return ranked[(len(ranked) - 1) // 2][1] if ranked else None


def hours(folder: Path) -> float:
    """Total duration of the sessions of a run, in hours; without a session that has not stopped or saved anything."""
    ended = [session for session in status(folder)["sessions"] if "stopped" in session]
    times = [[datetime.fromisoformat(session[name]) for name in ("started", "stopped")] for session in ended]
    return sum((stopped - started).total_seconds() for started, stopped in times) / 3600
