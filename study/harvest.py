"""Copies the results of run directories into study/, and the states from which runs are continued.

study/runs/<configuration>/seed_<n>/
  args.json     the recorded arguments
  status.json   epochs done, budget, and every session: time, machine, revision
  scores.json   the newest scores with their protocol; scores_epoch_<e>.json: scores of kept weights
  curve.csv     one line per epoch: losses (metric/...) and scores (dmetric/...)
  analysis.json the results of --analyse, see study/analysis.py
study/states/<configuration>_seed_<n>/      a run directory without event files and model.pt, to continue from
study/checkpoints/<configuration>/          a run directory with the weights of the median seed, for --evaluate
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas

from logger.reading import log_lines
from logger.resume import starting
from logger.run_directory import UNBORN, RunDirectory, versions
from study import plan
from system.errors import UserError
from system.files import load_tensors, read_json, replacing, write_tensors, write_text

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("log_path", "data_path", "eval_data_path")  # paths, which differ between machines
SCORE = "dmetric/" + plan.SCORES["FactorVAE"]


def harvest(run: Path, study: Path) -> Path:
    """Copy the results of a run so far into study/runs; returns the folder.

    Sessions that only the existing record has are kept: those before the run was continued in another folder, and
    entries added by hand.

    Raises:
        UserError: `run` is not a run, belongs to no configuration of the plan, or the existing record has more epochs.
    """
    run_dir = RunDirectory.existing(run, "--harvest")
    args = run_dir.read_args()
    configuration = plan.of_run(args)
    folder = record(study, configuration, args["seed"])
    curve = read_curve(run_dir.metrics_file)
    before = status(folder)
    if before.get("epochs", 0) > len(curve):
        raise UserError(
            f"{run} has {len(curve)} epochs, {folder} has {before['epochs']} epochs already: it stays as it is"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for file in [run_dir.scores_file, *run_dir.path.glob("scores_epoch_*.json")]:
        if file.is_file():
            write_text(folder / file.name, file.read_text(encoding="utf-8"))
    write_text(folder / "args.json", _json(_without_places(args)))
    write_text(folder / "curve.csv", curve.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    sessions = {session["started"]: session for session in before.get("sessions", [])}
    for session in run_dir.sessions():
        sessions[session["started"]] = {**sessions.get(session["started"], {}), **session}
    finished = len(curve) >= configuration.epochs
    content = {"state": "finished" if finished else "interrupted", "epochs": len(curve), "budget": configuration.epochs}
    write_text(folder / "status.json", _json({**content, "sessions": [sessions[s] for s in sorted(sessions)]}))
    return folder


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


def _without_places(args: dict) -> dict:
    return {name: value for name, value in args.items() if name not in PLACES}


def record(study: Path, configuration: plan.Configuration, seed: int) -> Path:
    """The folder of a harvested run."""
    return study / "runs" / configuration.name / f"seed_{seed}"


def record_folders(study: Path, name: str) -> list[tuple[int, Path]]:
    """Seed and folder of every harvested run of the configuration `name`, by seed. Its status is written last."""
    folders = [file.parent for file in (study / "runs" / name).glob("seed_*/status.json")]
    return sorted((int(folder.name.removeprefix("seed_")), folder) for folder in folders)


def status(folder: Path) -> dict:
    """The contents of status.json of a harvested run; empty if there is none."""
    file = folder / "status.json"
    return read_json(file) if file.is_file() else {}


def add(run: Path, study: Path) -> Path:
    """Harvest a run; for an interrupted one, also save the state to continue it from. Returns the folder of its record.

    Raises UserError as `harvest`.
    """
    source = RunDirectory.existing(run, "--harvest")
    study.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".state", dir=study) as name:
        made = RunDirectory(Path(name) / "state")
        made.checkpoints.mkdir(parents=True)
        # The checkpoint first: a running training only appends to its log, which resuming cuts to the checkpoint.
        if has_checkpoint := source.training_file.is_file():
            checkpoint = load_tensors(source.training_file)
            write_tensors({**checkpoint, "args": _without_places(checkpoint["args"])}, made.training_file)
        if source.metrics_file.is_file():
            shutil.copy(source.metrics_file, made.metrics_file)
        folder = harvest(run, study)
        for file in folder.glob("*.json"):
            shutil.copy(file, made.path)
        state = state_folder(study, folder.parent.name, source.read_args()["seed"])
        if state.exists():
            shutil.rmtree(state)
        if has_checkpoint and status(folder)["state"] != "finished":
            state.parent.mkdir(exist_ok=True)
            os.replace(made.path, state)
    return folder


def adopt(study: Path, name: str, seed: int, log_path: Path) -> bool:
    """Copy the saved state of a run, if there is one, to `log_path`, if that has no run yet. Returns if it did."""
    state = state_folder(study, name, seed)
    if not RunDirectory(state).training_file.is_file():
        return False
    with starting(log_path):
        if versions(log_path):
            return False
        partial = Path(tempfile.mkdtemp(prefix=".", suffix=UNBORN, dir=log_path))
        shutil.copytree(state, partial, dirs_exist_ok=True)
        os.replace(partial, log_path / "version_0")
    return True


def state_folder(study: Path, name: str, seed: int) -> Path:
    return study / "states" / f"{name}_seed_{seed}"


def median_seed(study: Path, name: str) -> int | None:
    """The seed with the median score (of two, the lower) among the runs with the most epochs; None without runs."""
    curves = {seed: pandas.read_csv(folder / "curve.csv") for seed, folder in record_folders(study, name)}
    longest = max(map(len, curves.values()), default=0)
    if not longest:
        return None
    ranked = sorted((curve[SCORE].iloc[-1], seed) for seed, curve in curves.items() if len(curve) == longest)
    return ranked[(len(ranked) - 1) // 2][1]


def keep_checkpoint(run: Path, study: Path) -> Path | None:
    """If the run is that of the median seed, copy its weights to study/checkpoints, with traversals drawn by main.py.

    Returns: the folder, a run directory for --evaluate; None if it is another seed or the plan keeps no weights.
    Raises: UserError if the weights cannot be evaluated.
    """
    source = RunDirectory.existing(run)
    args = source.read_args()
    configuration = plan.of_run(args)
    wanted = configuration.checkpoint and source.model_file.is_file()
    if not wanted or median_seed(study, configuration.name) != args["seed"]:
        return None
    folder = study / "checkpoints" / configuration.name
    with tempfile.TemporaryDirectory() as name:
        copy = RunDirectory(Path(name))
        copy.checkpoints.mkdir()
        shutil.copy(source.model_file, copy.model_file)
        copy.write_args(_without_places(args))
        flags = [f"--log-path={copy.path}", "--metric-preset=fast", "--quiet", "--num-threads=1"]
        data = [f"--{name}={args[name]}" for name in PLACES[1:] if args.get(name)]
        if subprocess.run([sys.executable, "main.py", "--evaluate", *flags, *data], cwd=ROOT).returncode:
            raise UserError(f"the weights of {run} could not be evaluated, see above; repeat with --harvest {run}")
        shutil.copy(record(study, configuration, args["seed"]) / "status.json", copy.status_file)
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        for file in ("status.json", "checkpoints/model.pt", "args.json", "traversals.png"):
            with replacing(folder / file) as temporary:
                shutil.copy(copy.path / file, temporary)
    return folder


def _json(content: dict) -> str:
    return json.dumps(content, indent=2) + "\n"
