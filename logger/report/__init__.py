"""One self-contained HTML page on one or several runs: python -m logger.report <run or folder of runs>"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from logger.reading import Run, read_runs
from system.errors import UserError
from system.files import writable_folder, write_text

MUCH = 2**23  # bytes of event files


def write_report(paths: Sequence[str | Path], output: str | Path | None = None) -> tuple[Path, list[str]]:
    """Write the page of one run, or a comparison of several.

    Args:
        paths: run directories, or folders with runs anywhere below them.
        output: file to write; None: `report.html` in the first path.
    Returns:
        The file written, and one line for each run that could not be read (also shown in the page).
    Raises:
        UserError: no run in the paths can be read, or the file cannot be written.
    """
    from logger.report import comparison, one_run  # Matplotlib, Jinja2

    left_out: list[str] = []
    runs = _with_scalars(read_runs(paths, left_out), left_out)
    if not runs:
        asked, reasons = ", ".join(map(str, paths)), "; ".join(left_out) or "an empty folder"
        raise UserError(f"{asked} holds no run that can be read: name a run, such as logs/version_0 ({reasons})")
    output = Path(output) if output else Path(paths[0]) / "report.html"
    writable_folder(output, "--output")
    if len(runs) == 1:
        page = one_run.page(runs[0], left_out)
    else:
        page = comparison.page(runs, f"{len(runs)} runs in {_names(paths)}", left_out)
    write_text(output, page)
    return output, left_out


def _with_scalars(runs: Sequence[Run], left_out: list[str]) -> list[Run]:
    """The runs with their `scalars` read, in parallel if there is much to read: TensorBoard takes a second per MB."""
    from joblib import Parallel, cpu_count, delayed
    from tqdm import tqdm

    size = sum(file.stat().st_size for run in runs for file in run.path.glob("events.out.tfevents.*"))
    jobs = min(len(runs), cpu_count()) if size > MUCH else 1
    read = Parallel(jobs, return_as="generator")(delayed(_read)(run) for run in runs)
    found = list(tqdm(read, "reading", len(runs), unit=" runs", disable=size <= MUCH))
    left_out += [error for error in found if isinstance(error, str)]
    return [run for run in found if isinstance(run, Run)]


def _read(run: Run) -> Run | str:
    """The run with its `scalars`, or why they cannot be read."""
    try:
        run.scalars  # noqa: B018 - reads the event files
        return run
    except UserError as error:
        return str(error)


def _names(paths: Sequence[str | Path]) -> str:
    """Names of the folders of the paths, each once; for a run, its parent folder."""
    folders = (Path(path).resolve() for path in paths)
    return ", ".join(dict.fromkeys(f.parent.name if f.name.startswith("version_") else f.name for f in folders))
