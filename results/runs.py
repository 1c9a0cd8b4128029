"""Find the runs below a folder, and read the arguments and the newest scores of each."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from logger.run_directory import RunDirectory
from system.errors import UserError

# Column of the table -> score in log_metrics.txt (without `dmetric/`). Where a metric has a value for training and one
# for held-out data, the column is the held-out one; factor leakage is its mean over the ranked latents.
COLUMNS = {
    "fac": "fac_eval",
    "fac_dim": "fac_num_act",
    "beta": "val_hig_acc",
    "mig": "discrete_mig",
    "dci_info": "dci_informativeness_test",
    "dci_dis": "dci_disentanglement",
    "dci_comp": "dci_completeness",
    "mod": "modularity_score",
    "explicit": "explicitness_score_test",
    "sap": "SAP_score",
    "fl": "factor_leakage_mean",
}


@dataclass
class Run:
    """One finished run: where it is, how it was started, its newest scores by column, when it was last written."""

    path: Path
    args: dict
    scores: dict[str, float]
    time: float  # seconds since 1970


@dataclass
class Found:
    """What lies below a folder: runs that count, by experiment directory, and a line on each that does not."""

    experiments: dict[Path, list[Run]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def runs(self) -> list[Run]:
        return [run for runs in self.experiments.values() for run in runs]


def find(directory: str | Path) -> Found:
    """Every `version_*` at any depth below the folder; the folder that holds it is its experiment directory.

    Runs of this project count when they are finished, those of the authors' code when they logged a score. Raises
    UserError where the folder does not exist.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise UserError(f"--in_dir {directory} is no folder")
    found = Found()
    for experiment, versions in _experiments(directory, found.left_out):
        found.experiments[experiment] = []
        for version in versions:
            try:
                found.experiments[experiment].append(read(version))
            except (UserError, OSError) as error:
                found.left_out.append(f"{version}: {error}")
    return found


def _experiments(directory: Path, left_out: list[str]) -> Iterator[tuple[Path, list[Path]]]:
    """Folders with versions in them, and these versions in the order of their numbers."""
    if directory.name.startswith("version_") and (directory / "checkpoints").is_dir():
        yield directory.parent, [directory]
        return
    for path, names, files in os.walk(directory):
        versions = [name for name in names if name.startswith("version_")]
        names[:] = sorted(set(names) - set(versions))  # where to go on: not into the runs
        if versions:
            yield Path(path), [Path(path) / name for name in sorted(versions, key=_numbers)]
        elif not names and Path(path) != directory:
            left_out.append(f"{path}: no version_<n> in it" + ("" if files else ", an empty folder"))


def _numbers(name: str) -> tuple:
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in name.split("_"))


def read(version: Path) -> Run:
    """One run. Raises UserError, with the reason, for what does not count as a sample."""
    run = RunDirectory(version)
    if not any(file.is_file() for file in (run.args_file, run.published_args_file, run.metrics_file)):
        raise UserError("no run: neither args.json, checkpoints/args.pt nor log_metrics.txt in it")
    state = run.state()
    if state not in ("finished", "unknown"):
        raise UserError(f"left out, it is {'unfinished' if state in ('running', 'interrupted') else state}")
    scores = read_scores(run.metrics_file)
    if not scores:
        raise UserError("left out, it has no scores")
    return Run(version, _args(run), scores, run.metrics_file.stat().st_mtime)


def _args(run: RunDirectory) -> dict:
    return run.read_args() if run.args_file.is_file() or run.published_args_file.is_file() else {}


def read_scores(log: Path) -> dict[str, float]:
    """Column -> value, from lines `dmetric/<score> : <value>`. Of several evaluations, the newest counts."""
    if not log.is_file():
        return {}
    columns = {score: column for column, score in COLUMNS.items()}
    scores = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        tag, _, value = line.partition(" : ")
        column = columns.get(tag.strip().removeprefix("dmetric/")) if tag.startswith("dmetric/") else None
        if column is None:
            continue
        try:
            number = float(value)
        except ValueError:
            continue
        if math.isfinite(number):
            scores[column] = number
    return scores


def label(runs: Sequence[Run], variables: Sequence[str]) -> str:
    """The values of the recorded arguments, joined by `-`; several values of one, joined by `/`."""
    parts = []
    for name in variables:
        values = dict.fromkeys(_text(run.args.get(name)) for run in runs)
        parts.append("/".join(values) or "?")
    return "-".join(parts)


def _text(value) -> str:
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(str, value)) + "]"
    return "?" if value is None else str(value)
