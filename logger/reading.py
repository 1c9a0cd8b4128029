"""Reads runs, for notebooks, reports and tables."""

from __future__ import annotations

import collections
import functools
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from logger.catalogue import PICTURES
from logger.run_directory import RunDirectory
from system.errors import UserError, first_line
from system.files import read_json

if TYPE_CHECKING:
    import pandas

EPOCHS = "progress/epochs"  # tag: epochs done at a validation, not whole if a session ended within one


@dataclass(frozen=True, repr=False)
class Run:
    """One run, as read from its directory.

    path: its directory.
    args: its arguments; empty if none were recorded.
    state: `finished`, `running`, `interrupted`, `failed`, or `unknown` (runs of the authors' code).
    scores: the newest value of every score; empty if it was not scored.
    protocol: how the scores were measured: `preset`, `seed`, `dataset`, `data_source`, `images`, `step`.
    pictures: name in the catalogue -> file, for every picture that was drawn.
    time: when its log was last written, in seconds since 1970.
    started: when it was started, as recorded, such as `2026-01-31T12:00:00Z`; empty if that was not recorded.
    """

    path: Path
    args: dict
    state: str
    scores: dict[str, float]
    protocol: dict
    pictures: dict[str, Path]
    time: float
    started: str = ""

    @property
    def name(self) -> str:
        """The last two parts of the path, such as `dsprites/version_0`."""
        return "/".join(self.path.resolve().parts[-2:])

    def __repr__(self) -> str:
        """Three lines: where it is and its state, what was trained, what was measured."""
        model, dataset, seed = (self.args.get(name, "?") for name in ("model", "dataset", "seed"))
        return (
            f"run {self.path}: {self.state}\n"
            f"  {model} on {dataset}, seed {seed}\n"
            f"  {len(self.scores)} scores, {len(self.pictures)} pictures"
        )

    @functools.cached_property
    def scalars(self) -> pandas.DataFrame:
        """A table with the columns `tag`, `step` (int), `value` (float), sorted by tag and step.

        Read from scalars.csv; if a step was logged twice, the later value counts. Older runs have their event files
        instead, those of the authors' code log_metrics.txt, with the number of the validation as the step. Scores of
        kept weights (`scores_epoch_<e>.json`) have the last step of that epoch.
        """
        import pandas

        run = RunDirectory(self.path)
        table = _csv_table(run.scalars_file) if run.scalars_file.is_file() else _older_table(run)
        kept = pandas.DataFrame(_kept_scores(self.path, table), columns=["tag", "step", "value"])
        table = pandas.concat([kept, table]).astype({"tag": str, "step": int, "value": float})
        table = table.drop_duplicates(["tag", "step"], keep="last")
        return table.sort_values(["tag", "step"], kind="stable").reset_index(drop=True)

    def curve(self, tag: str) -> pandas.DataFrame:
        """The rows of one tag, by step; empty if it was never logged."""
        return self.scalars[self.scalars.tag == tag]

    def last(self, tag: str) -> float | None:
        """The newest value of a tag."""
        values = self.curve(tag).value
        return float(values.iloc[-1]) if len(values) else None


def read_run(path: str | Path) -> Run:
    """Read a run directory, `<log-path>/version_<n>`, of this project or of the authors' code.

    Raises:
        UserError: the path is not a run, or one of its files is damaged or cannot be read.
    """
    path = Path(path)
    run = RunDirectory(path)
    try:
        os.listdir(path)  # a folder without permission raises here
        recorded = run.is_run
        if not recorded and not run.metrics_file.is_file():
            raise UserError(
                f"{path} is not a run: neither args.json, checkpoints/args.pt nor log_metrics.txt in it; name one run, "
                "such as logs/version_0"
            )
        args = run.read_args() if recorded else {}
        state = run.state()  # before the scores: a run that finishes now must not count with those of an earlier epoch
        scores, protocol = read_scores(run.scores_file)
        log = () if scores else log_lines(run.metrics_file)
        scores |= {tag.removeprefix("dmetric/"): value for tag, value in log if tag.startswith("dmetric/")}
        written = run.metrics_file if run.metrics_file.is_file() else path
        pictures = {name: path / picture.file for name, picture in PICTURES.items() if (path / picture.file).is_file()}
        started = str(next((session["started"] for session in run.sessions()), ""))
        return Run(path, args, state, scores, protocol, pictures, written.stat().st_mtime, started)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error


def read_runs(paths: Sequence[str | Path], left_out: list[str]) -> list[Run]:
    """All readable runs among and below the paths. Adds a line to `left_out` for every other one."""
    return list(read_each(find_runs(paths, left_out), left_out))


def read_each(paths: Iterable[Path], left_out: list[str]) -> Iterator[Run]:
    """The readable ones of these run directories. Adds a line to `left_out` for every other one."""
    for path in paths:
        try:
            yield read_run(path)
        except UserError as error:
            left_out.append(f"{path}: {error}")


def find_runs(paths: Sequence[str | Path], left_out: list[str] | None = None) -> list[Path]:
    """The run directories among and below the paths, in natural order, each once; symbolic links are followed.

    A run is named `version_*`, or holds args.json or checkpoints/args.pt. Folders that hold no run, cannot be read, or
    were already visited by another path each add a line to `left_out`. Raises UserError if a path is not a folder.
    """
    left_out = [] if left_out is None else left_out
    found: dict[Path, Path] = {}  # real path -> path
    for path in map(Path, paths):
        if not path.is_dir():
            raise UserError(f"{path} is not a folder: name a run, such as logs/version_0, or a folder of runs")
        for run in [path] if _is_run(path) else _below(path, left_out):
            first = found.setdefault(run.resolve(), run)
            if first != run:
                left_out.append(f"{run}: the same folder as {first}")
    return list(found.values())


def _is_run(path: Path) -> bool:
    return os.path.isfile(path / "args.json") or os.path.isfile(path / "checkpoints" / "args.pt")


def _below(top: Path, left_out: list[str]) -> Iterator[Path]:
    """The runs below a folder that is not a run itself."""

    def unreadable(error: OSError) -> None:
        left_out.append(f"{error.filename}: cannot be read ({error.strerror})")

    walked: dict[Path, Path] = {}  # real path -> path: links may form cycles
    for name, folders, files in os.walk(top, onerror=unreadable, followlinks=True):
        folder = Path(name)
        if walked.setdefault(folder.resolve(), folder) != folder:
            left_out.append(f"{folder}: the same folder as {walked[folder.resolve()]}")
            folders.clear()
            continue
        folders.sort(key=natural)
        runs = [name for name in folders if name.startswith("version_") or _is_run(folder / name)]
        folders[:] = [name for name in folders if name not in runs]  # do not descend into runs
        yield from (folder / name for name in runs)
        left_out += [
            f"{folder / n}: no folder" for n in files if n.startswith("version_") and os.path.islink(folder / n)
        ]
        if not runs and not folders and folder != top:
            left_out.append(f"{folder}: no version_<n> in it" + ("" if files else ", an empty folder"))


def natural(name: str) -> list:
    """Sort key that puts version_10 after version_9."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _csv_table(file: Path) -> pandas.DataFrame:
    """The rows of scalars.csv, as logged, with the columns tag, step, value."""
    import pandas

    try:
        table = pandas.read_csv(file, on_bad_lines="skip", dtype={"tag": str}, encoding_errors="replace")
        table[["step", "value"]] = table[["step", "value"]].apply(pandas.to_numeric, errors="coerce")
        return table.loc[table.step.notna() & table.tag.notna(), ["tag", "step", "value"]]  # the last line may be cut
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is damaged ({first_line(error)[:100]}); restore it") from error


def _older_table(run: RunDirectory) -> pandas.DataFrame:
    """As `_csv_table`, of the event files, and of log_metrics.txt if no validation is in them."""
    import pandas

    rows = _event_rows(run.path)
    if not any(tag == "validation/loss" for tag, *_ in rows):
        rows = [row for row in rows if not row[0].startswith("dmetric/")]  # the text has them, too
        count = collections.Counter({"": 0})  # validations so far, by term
        for tag, value in log_lines(run.metrics_file):
            count[tag] += tag.startswith("metric/")
            rows.append((re.sub("^metric/", "validation/", tag), count[tag] or max(count.values()), value))
    return pandas.DataFrame(rows, columns=["tag", "step", "value"])


def _event_rows(path: Path) -> list[tuple[str, int, float]]:
    """(tag, step, value) of every scalar in the run's event files."""
    if not any(path.glob("events.out.tfevents.*")):
        return []
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    # 0 keeps all scalars. Purging would drop curves over images seen of continued runs: their "steps" are larger.
    events = EventAccumulator(str(path), size_guidance={"scalars": 0}, purge_orphaned_data=False)
    try:
        events.Reload()
    except OSError as error:
        raise UserError(
            f"{path}: its event files cannot be read ({error.strerror}); check their permissions"
        ) from error
    return [(tag, event.step, event.value) for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]


def _kept_scores(path: Path, table: pandas.DataFrame) -> list[tuple[str, int, float]]:
    """(tag, step, score) of the weights kept after an epoch, from the steps of validations in the run's `table`."""
    epochs = table[table.tag == EPOCHS]  # the oldest versions did not log them: as if every validation ended one
    validated = table[(table.tag == "validation/loss") & ~table.step.isin(epochs.step)].step
    whole = epochs[epochs.value % 1 == 0]
    ends = dict(enumerate(validated.drop_duplicates(), 1)) | dict(zip(whole.value.astype(int), whole.step, strict=True))
    rows = []
    for file in path.glob("scores_epoch_*.json"):
        epoch = file.stem.removeprefix("scores_epoch_")
        if epoch.isdecimal() and int(epoch) in ends:
            scores, _ = read_scores(file)
            rows += [(f"dmetric/{name}", ends[int(epoch)], value) for name, value in scores.items()]
    return rows


def log_lines(file: Path) -> Iterator[tuple[str, float]]:
    """Tag and value of every line `tag : value` of log_metrics.txt with a finite number; none without the file."""
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        tag, _, text = line.partition(" : ")
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            yield tag.strip(), value


def read_scores(path: Path) -> tuple[dict[str, float], dict]:
    """The scores and their protocol; both empty without the file."""
    if not path.is_file():
        return {}, {}
    content = read_json(path)
    try:
        scores = {name: float(value) for name, value in content.get("scores", {}).items()}
        return scores, dict(content.get("protocol", {}))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(f"{path} holds no scores ({error}); restore it or score the run again") from error
