"""The command line of `python -m metrics`: scores codes in files, prints a table and writes a JSON file."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from metrics import METRICS, evaluate, udr
from metrics.evaluation import find_metrics
from metrics.factors import check_factors
from metrics.files import Table, counts_rows, read_tables
from metrics.metric import QUESTIONS
from metrics.presets import Preset, find_preset
from system.command_line import Parser, command_line
from system.errors import UserError
from system.files import writable_folder, write_text

CODE_NAMES = ("codes", "representations", "z", "mu")


def build_parser() -> argparse.ArgumentParser:
    """The parser with every flag."""
    parser = Parser(
        prog="python -m metrics",
        description="Disentanglement scores of representations [n, d] with known factors [n, k].",
    )
    add = parser.add_argument
    add(
        "codes",
        nargs="*",
        type=Path,
        help="npz, npy or csv file of codes; for udr, several files with codes of the same samples",
    )
    add(
        "--codes-name",
        metavar="NAME",
        help="array of the npz file with the codes (default: its only table, or codes, representations, z, mu)",
    )
    add(
        "--factors",
        metavar="NAME|FILE",
        help="array of the codes' npz file (default: `factors`), or an npz, npy or csv file of factors",
    )
    add(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="metrics to compute, see --list (default: all that the input allows)",
    )
    add("--preset", default="full", help="sample counts: full (the reference protocol) or fast (default: full)")
    add("--points", type=int, metavar="N", help="rows of the training and of the test set (default: as the preset)")
    add("--seed", type=int, default=0, help="the same seed gives the same numbers (default: 0)")
    add(
        "--bootstrap",
        type=int,
        default=0,
        metavar="N",
        help="bootstrap replicates for the standard error of each score (default: 0, none)",
    )
    add("--workers", type=int, metavar="N", help="processes for the trees of DCI (default: one per core)")
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="file to write the scores to (default: <codes file>.scores.json next to it)",
    )
    add(
        "--bins",
        nargs="+",
        metavar="N",
        help="classes to bin continuous factors into, or NAME=N for single factors (default: an error)",
    )
    add(
        "--left-out",
        nargs="*",
        metavar="NAME",
        help="factors that discrete_mig and factor_leakage leave out; no name: none (default: as the reference)",
    )
    add("--active-only", action="store_true", help="score only the latents in use (deviation at least 0.1)")
    add("--list", action="store_true", help="list all metrics and the names of their scores, then exit")
    return parser


def list_metrics() -> str:
    """Name, summary and scores of every metric, as text."""
    needs = {
        "steps": " [needs every combination of the factors]",
        "decoder": " [needs a model: library only]",
        "runs": " [needs the codes of several runs]",
    }
    lines = []
    for question in QUESTIONS:
        lines.append(question)
        for name, metric in METRICS.items():
            if metric.question == question:
                lines += [f"  {name:18} {metric.summary}{''.join(needs.get(need, '') for need in metric.needs)}"]
                lines += [f"  {'':18}   {score.name:38} {score.title}" for score in metric.scores]
    return "\n".join(lines)


def pick_codes(arrays: dict[str, Table], path: Path, name: str | None, factors: str | None) -> Table:
    """The codes among the arrays of a file: by `name`, else the only table besides the factors, else a usual name.

    Raises UserError if this does not determine an array.
    """
    if name is not None:
        if name not in arrays:
            raise UserError(f"--codes-name {name}: {path} holds {', '.join(arrays)}")
        return arrays[name]
    tables = [key for key, array in arrays.items() if array.values.ndim == 2 and key != factors]
    usual = [key for key in CODE_NAMES if key in tables]
    if len(tables) != 1 and not usual:
        found = ", ".join(f"{key} {list(array.values.shape)}" for key, array in arrays.items())
        raise UserError(f"{path} holds {found or 'nothing'}: name the table of codes [n, d] with --codes-name")
    return arrays[usual[0] if usual else tables[0]]


def read_factors(factors: str, arrays: dict[str, Table], rows: int) -> Table:
    """Read `--factors`: an array of the codes' file, or another file with this many rows. Raises UserError."""
    if factors in arrays:
        if factors == "factors" and "factor_names" in arrays:
            names, left_out = (
                arrays[key].values.astype(str).ravel().tolist() if key in arrays else None
                for key in ("factor_names", "left_out")
            )
            return replace(arrays[factors], names=names, left_out=left_out)
        return arrays[factors]
    path = Path(factors)
    if not path.exists():
        raise UserError(f"--factors {factors}: neither a file nor an array of the codes' file ({', '.join(arrays)})")
    found = read_tables(path, rows)
    if "factors" in found:
        return found["factors"]
    if len(found) != 1:
        raise UserError(f"--factors {factors}: holds {', '.join(found)}; keep one array, or name it factors")
    return next(iter(found.values()))


def check_factors_given(factors: str | None, names: Sequence[str] | None) -> None:
    """Raises UserError if there are no factors and some of these metrics (None: all) need them."""
    if factors is None and any("factors" in METRICS[name].needs for name in find_metrics(names)):
        free = " and ".join(name for name, metric in METRICS.items() if not {"factors", "decoder"} & set(metric.needs))
        remedy = "name an array of the codes' file, or a file of factors [n, k]"
        raise UserError(f"--factors is missing (only --metrics {free} need none): {remedy}")


def check_same_rows(first: Table, second: Table, which: str) -> None:
    """Raises UserError if both tables have an index and these differ: their rows are not the same samples."""
    if first.index is None or second.index is None or len(first.index) != len(second.index):
        return  # other numbers of rows are refused by the scores
    same = counts_rows(first.index) and counts_rows(second.index)  # from 0 or 1
    if not same and (first.index != second.index).any():
        raise UserError(f"{which} have different indices: align their rows, or remove the index of one file")


def aligned(factors: Table, arrays: dict[str, Table], which: str) -> Table:
    """The rows of a table with an index that belong to the codes of a run, in their order.

    The codes' file must hold `names` if the index is of names, such as file names; numbers count the images of the data
    set from 0, of which its array `index` holds some. A table without an index is taken as it is.

    Raises: UserError if an image has no row, or several, or the codes have no names.
    """
    key = "index" if factors.index is None or factors.index.dtype.kind in "iu" else "names"
    if factors.index is None or (key == "index" and (key not in arrays or not counts_rows(factors.index))):
        return factors
    if key not in arrays:
        raise UserError(
            f"{which} has an index of names, and the codes have no array names to align it by: put its rows into the "
            "order of the codes, and remove the index"
        )
    wanted = arrays[key].values.astype(str).tolist()
    rows = factors.index.astype(str).tolist()
    if not set(wanted) <= set(rows):
        wanted, rows = ([Path(name).name for name in names] for names in (wanted, rows))  # without their folders
    place = {name: row for row, name in enumerate(rows)}
    missing = [name for name in wanted if name not in place]
    if missing or len(place) < len(rows) or len(set(wanted)) < len(wanted):
        what = f"has no row {missing[0]}" if missing else "names a row twice"
        raise UserError(f"{which} {what}: its index must name each of the {len(wanted)} images of the codes once")
    order = np.array([place[name] for name in wanted])
    return replace(factors, values=factors.values[order], index=None)


def check_same_images(first: dict[str, Table], second: dict[str, Table], which: str) -> None:
    """Raises UserError if the files of two runs (codes.npz) record an `index` or `data` of different images."""
    for name in ("data", "index"):
        found = [arrays[name].values.tolist() for arrays in (first, second) if name in arrays]
        if len(found) == 2 and found[0] != found[1]:
            raise UserError(
                f"{which} hold codes of different images, says their array {name}: evaluate both runs again, on one "
                "data set"
            )


def read_bins(words: Sequence[str] | None) -> int | dict[str, int] | None:
    """Parse `--bins`: a number, or `name=number` per factor. Raises UserError."""
    if words is None:
        return None
    try:
        if len(words) == 1 and "=" not in words[0]:
            return int(words[0])
        return {name: int(count) for name, count in (word.rsplit("=", 1) for word in words)}
    except ValueError:
        raise UserError(f"--bins {' '.join(words)}: give a number of classes, or name=number for each factor") from None


def table(scores: dict[str, float]) -> str:
    """The scores as text, one per line: name, value, and standard error if there is one."""
    width = max(map(len, scores))
    lines = []
    for name, value in scores.items():
        if name.endswith("_se") and name[:-3] in scores:
            continue
        error = scores.get(f"{name}_se")
        lines.append(f"{name:{width}}  {value:10.4f}" + ("" if error is None else f"  +- {error:.4f}"))
    return "\n".join(lines)


def read_codes(args: argparse.Namespace) -> tuple[list[Table], dict[str, Table]]:
    """The codes of every file, and all arrays of the first file, whose `factors` are taken. Raises UserError."""
    if not args.codes:
        raise UserError("no codes given: name an npz, npy or csv file (or --list)")
    files = [read_tables(path) for path in args.codes]
    if args.factors is None and "factors" in files[0] and args.codes_name != "factors":
        args.factors = "factors"
    runs = []
    for path, arrays in zip(args.codes, files, strict=True):
        runs.append(pick_codes(arrays, path, args.codes_name, args.factors))
        check_same_rows(runs[0], runs[-1], f"{args.codes[0]} and {path}")
        check_same_images(files[0], arrays, f"{args.codes[0]} and {path}")
        if runs[-1].taken:
            print(runs[-1].taken)
    return runs, files[0]


def find_preset_of(args: argparse.Namespace) -> Preset:
    """The preset of --preset, with the counts of --points. Raises UserError."""
    preset = find_preset(args.preset)
    if args.points is None:
        return preset
    name = f"{preset.name}, {args.points} points"
    return replace(preset, name=name, train_points=args.points, test_points=args.points)


def score_table(
    args: argparse.Namespace, codes: Table, factors: Table | None, names: Sequence[str] | None
) -> tuple[dict[str, float], dict]:
    """Score codes; prints what is left out, and notes. Returns scores and protocol. Raises UserError."""
    options: dict = {"bins": read_bins(args.bins), "left_out": args.left_out}
    values, left_out = None, []
    if factors is not None:
        values, options["factor_names"] = factors.values, factors.names
        if args.left_out is None:
            options["left_out"] = factors.left_out
        checked = check_factors(values, names=factors.names, left_out=options["left_out"], bins=options["bins"])
        left_out = [checked.names[column] for column in checked.left_out]
        print(f"left out of discrete_mig and factor_leakage: {', '.join(left_out) or 'nothing'} (--left-out)")
    settings = {"seed": args.seed, "preset": find_preset_of(args), "bootstrap": args.bootstrap, "workers": args.workers}
    options["active_only"] = args.active_only
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        scores = evaluate(codes.values, values, names, progress=True, **settings, **options)
    for note in dict.fromkeys(str(note.message) for note in notes):
        print(f"note: {note}", file=sys.stderr)
    return scores, {"factors": args.factors, **scores.protocol, **options, "left_out": left_out}


def run(args: argparse.Namespace, runs: Sequence[Table], arrays: dict[str, Table]) -> tuple[dict[str, float], dict]:
    """Compute the scores of `read_codes`. Returns them, and their protocol, shapes and versions. Raises UserError."""
    names = None if args.metrics is None else [name for name in args.metrics if name != "udr"]
    scores: dict[str, float] = {}
    record = {"codes": [str(path) for path in args.codes], "shape": list(runs[0].values.shape)}
    if len(runs) > 1 and names != []:
        raise UserError("several files of codes are for --metrics udr only; score them one at a time")
    if "udr" in (args.metrics or ()):
        for flag in ("--bootstrap", "--points", "--bins", "--left-out"):
            if getattr(args, flag[2:].replace("-", "_")) not in (None, 0):
                raise UserError(
                    f"{flag} has no effect on --metrics udr, which takes all rows, no factors; leave it out"
                )
        scores |= udr([codes.values for codes in runs])
    if names is None or names:
        check_factors_given(args.factors, names)
        factors = None if args.factors is None else read_factors(args.factors, arrays, len(runs[0].values))
        if factors is not None:
            if args.factors not in arrays and runs[0].index is None:
                factors = aligned(factors, arrays, f"--factors {args.factors}")
            check_same_rows(runs[0], factors, f"{args.codes[0]} and --factors {args.factors}")
            print(factors.taken or f"factors: {args.factors}")
        found, protocol = score_table(args, runs[0], factors, names)
        scores |= found
        record |= protocol
    packages = ("numpy", "scipy", "scikit-learn")
    versions = {"python": platform.python_version()} | {package: version(package) for package in packages}
    return scores, record | {"versions": versions}


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    args = build_parser().parse_args(argv)
    if args.list:
        print(list_metrics())
        return
    runs, arrays = read_codes(args)
    path = args.json or args.codes[0].with_name(f"{args.codes[0].name}.scores.json")
    factors = [args.factors] if args.factors and args.factors not in arrays else []
    writable_folder(path, "--json", *args.codes, *factors)
    scores, record = run(args, runs, arrays)
    print(table(scores))
    write_text(path, json.dumps({"scores": scores, "protocol": record}, indent=2) + "\n")
    print(f"written to {path}")
