"""One self-contained HTML page on one or several runs: python -m logger.report <run or folder of runs>"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from logger.reading import Run, read_runs
from system.errors import UserError
from system.files import writable_folder, write_text


def write_report(
    paths: Sequence[str | Path], output: str | Path | None = None, baseline: str | None = None
) -> tuple[Path, list[str]]:
    """Write the page of one run, or a comparison of several.

    Args:
        paths: run directories, or folders with runs anywhere below them.
        output: file to write; None: `report.html` in the first path.
        baseline: letter of the group that the others are compared with; None: the first one.
    Returns:
        The file written, and one line for each run that could not be read (also shown in the page).
    Raises:
        UserError: no run in the paths can be read, there is no such group, or the file cannot be written.
    """
    from logger.report import comparison, one_run  # Matplotlib, Jinja2

    left_out: list[str] = []
    runs = [run for run in read_runs(paths, left_out) if _has_scalars(run, left_out)]
    if not runs:
        asked, reasons = ", ".join(map(str, paths)), "; ".join(left_out) or "an empty folder"
        raise UserError(f"{asked} holds no run that can be read: name a run, such as logs/version_0 ({reasons})")
    output = Path(output) if output else Path(paths[0]) / "report.html"
    writable_folder(output, "--output")
    page = one_run.page(runs[0], left_out) if len(runs) == 1 else comparison.page(runs, left_out, baseline)
    write_text(output, page)
    return output, left_out


def _has_scalars(run: Run, left_out: list[str]) -> bool:
    """Whether the curves of the run can be read; if not, adds why to `left_out`."""
    try:
        return len(run.scalars) >= 0
    except UserError as error:
        left_out.append(str(error))
        return False
