"""Read runs back, for notebooks and reports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from logger.catalogue import PICTURES
from system.errors import UserError

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Run:
    """One run as it lies on disk.

    path: its directory.
    args: its arguments.
    scalars: a table with the columns `tag`, `step` (int), `value` (float), sorted by tag and step.
    scores: the newest value of every score; empty where none was taken.
    protocol: how the scores were measured: `preset`, `seed`, `dataset`, `data_source`, `images`, `step`.
    pictures: name in the catalogue -> file, of those that were drawn.
    """

    path: Path
    args: dict
    scalars: pandas.DataFrame
    scores: dict[str, float]
    protocol: dict
    pictures: dict[str, Path]

    @property
    def name(self) -> str:
        """The last two parts of the path, such as `dsprites/version_0`."""
        return "/".join(self.path.resolve().parts[-2:])

    def curve(self, tag: str) -> pandas.DataFrame:
        """The rows of one tag, by step; none where it was never logged."""
        return self.scalars[self.scalars.tag == tag]

    def last(self, tag: str) -> float | None:
        """The newest value of a tag."""
        values = self.curve(tag).value
        return float(values.iloc[-1]) if len(values) else None


def read_run(path: str | Path) -> Run:
    """Read a run directory, `<log-path>/version_<n>`, also one that was continued and has several event files.

    Where a continued run went over a step again, the later value counts.

    Raises:
        UserError: the path is no run, or a file of it is damaged.
    """
    path = Path(path)
    if not (path / "args.json").is_file():
        raise UserError(f"{path} holds no args.json: name one run, such as logs/version_0")
    scalars = _scalars(path)
    content = _json(path / "scores.json") if (path / "scores.json").is_file() else {}
    scores = content.get("scores")
    if scores is None:
        newest = scalars[scalars.tag.str.startswith("dmetric/")].groupby("tag").value.last()
        scores = {tag.removeprefix("dmetric/"): float(value) for tag, value in newest.items()}
    pictures = {name: path / picture.file for name, picture in PICTURES.items() if (path / picture.file).is_file()}
    return Run(path, _json(path / "args.json"), scalars, scores, content.get("protocol", {}), pictures)


def find_runs(paths: Sequence[str | Path]) -> list[Path]:
    """The run directories among and below the paths, in natural order, each once.

    Raises UserError for a path that holds none.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        below = [file.parent for file in path.rglob("args.json")] if path.is_dir() else []
        if not below:
            raise UserError(f"{path} holds no run: name a run, such as logs/version_0, or a folder of runs")
        found |= dict.fromkeys(sorted(below, key=_natural))
    return list(found)


def _natural(path: Path) -> list:
    """Sort key by which version_10 follows version_9."""
    return [(part.rstrip("0123456789"), int(part[len(part.rstrip("0123456789")) :] or -1)) for part in path.parts]


def _scalars(path: Path) -> pandas.DataFrame:
    import pandas
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = []
    if any(path.glob("events.out.tfevents.*")):
        # 0 keeps all; nothing else is kept. Purging would drop what a continued run's other clock (images) counted.
        sizes = dict.fromkeys(("images", "audio", "histograms", "compressedHistograms", "tensors"), 1)
        events = EventAccumulator(str(path), size_guidance={"scalars": 0, **sizes}, purge_orphaned_data=False)
        events.Reload()
        for tag in events.Tags()["scalars"]:
            rows += [(tag, event.step, event.value, event.wall_time) for event in events.Scalars(tag)]
    table = pandas.DataFrame(rows, columns=["tag", "step", "value", "time"])
    table = table.astype({"tag": str, "step": int, "value": float})
    table = table.sort_values(["tag", "step", "time"], kind="stable").drop_duplicates(["tag", "step"], keep="last")
    return table.drop(columns="time").reset_index(drop=True)


def _json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}); restore it or train again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold what a run writes there; restore it or train again")
    return content
