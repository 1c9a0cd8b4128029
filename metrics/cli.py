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
from typing import Any

from metrics import METRICS, SCORES, evaluate, udr
from metrics.evaluation import find_metrics
from metrics.files import read_tables
from metrics.protocol import find_preset
from system.command_line import Parser, command_line
from system.errors import UserError
from system.files import writable_folder, write_text

CODE_NAMES = ("codes", "representations", "z", "mu")
NEEDS = {"steps": " [needs every combination of the factors]", "decoder": " [needs a model: library only]"}


def build_parser() -> argparse.ArgumentParser:
    """The parser with every flag."""
    parser = Parser(
        prog="python -m metrics",
        description="Disentanglement scores of codes [n, d] with known factors [n, k], in npz, npy or csv files.",
    )
    add = parser.add_argument
    add("codes", nargs="*", type=Path, help="file of codes; for udr, several files with codes of the same samples")
    add("--codes-name", metavar="NAME", help="array of the codes (default: the only table, or codes, z, mu)")
    add("--factors", metavar="NAME|FILE", help="array of the codes' npz file (default: `factors`), or a file")
    add("--metrics", nargs="+", metavar="NAME", help="metrics to compute (default: all that the input allows)")
    add("--preset", default="full", help="sample counts: full (the reference protocol) or fast (default: full)")
    add("--points", type=int, metavar="N", help="rows of the training and of the test set (default: as the preset)")
    add("--seed", type=int, default=0, help="the same seed gives the same numbers (default: 0)")
    add("--bootstrap", type=int, default=0, metavar="N", help="half-samples for standard errors (default: 0, none)")
    add("--workers", type=int, metavar="N", help="processes for the trees of DCI (default: one per core)")
    add("--json", type=Path, metavar="FILE", help="file for the scores (default: <codes file>.scores.json)")
    add("--list", action="store_true", help="list all metrics and their scores, then exit")
    return parser


def list_metrics() -> str:
    """Every metric with its scores and what they ask, as text."""
    lines = []
    for name, metric in METRICS.items():
        lines += [f"{name}{NEEDS.get(metric.needs, '')}"]
        lines += [f"  {key:38} {SCORES[key].name}: {SCORES[key].question}" for key in metric.keys]
    return "\n".join([*lines, "udr [needs the codes of several runs]", f"  {'UDR':38} {SCORES['UDR'].question}"])


def pick_codes(arrays: dict[str, Any], path: Path, name: str | None, factors: str | None) -> Any:
    """The codes of a file: by `name`, else its only table besides the factors, else a usual name. Raises UserError."""
    if name is not None:
        if name not in arrays:
            raise UserError(f"--codes-name {name}: {path} holds {', '.join(arrays)}")
        return arrays[name]
    tables = [key for key, array in arrays.items() if array.ndim == 2 and key != factors]
    usual = [key for key in CODE_NAMES if key in tables]
    if len(tables) != 1 and not usual:
        found = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items())
        raise UserError(f"{path} holds {found or 'nothing'}: name the table of codes [n, d] with --codes-name")
    return arrays[usual[0] if usual else tables[0]]


def read_factors(name: str, arrays: dict[str, Any]) -> tuple[Any, dict[str, int]]:
    """Factors `[n, k]` of the codes' file or of another, by `--factors`, and those left out of MIG, name -> column."""
    if name in arrays:
        if name == "factors" and "left_out" in arrays and "factor_names" in arrays:  # of a run
            names, left_out = (arrays[key].astype(str).tolist() for key in ("factor_names", "left_out"))
            return arrays[name], {factor: names.index(factor) for factor in left_out}
        return arrays[name], {}
    if not Path(name).exists():
        raise UserError(f"--factors {name}: neither a file nor an array of the codes' file ({', '.join(arrays)})")
    found = read_tables(Path(name))
    if "factors" not in found and len(found) != 1:
        raise UserError(f"--factors {name}: holds {', '.join(found)}; keep one array, or name it factors")
    return found["factors"] if "factors" in found else next(iter(found.values())), {}


def score_udr(paths: Sequence[Path], runs: Sequence[Any], files: Sequence[dict[str, Any]]) -> dict[str, float]:
    """UDR of several files. Raises UserError if they record an `index` or `data` of different images."""
    for path, arrays in zip(paths[1:], files[1:], strict=True):
        for name in ("data", "index"):
            both = [found[name].tolist() for found in (files[0], arrays) if name in found]
            if len(both) == 2 and both[0] != both[1]:
                raise UserError(
                    f"{paths[0]} and {path} hold codes of different images, says their array {name}: evaluate both "
                    "runs again, on one data set"
                )
    return udr(runs)


def run(args: argparse.Namespace) -> tuple[dict[str, float], dict]:
    """Read the files and compute the scores. Returns them and their protocol. Raises UserError."""
    files = [read_tables(path) for path in args.codes]
    if args.factors is None and "factors" in files[0] and args.codes_name != "factors":
        args.factors = "factors"
    runs = [pick_codes(f, path, args.codes_name, args.factors) for path, f in zip(args.codes, files, strict=True)]
    record = {"codes": [str(path) for path in args.codes], "shape": list(runs[0].shape)}
    if args.metrics and "udr" in args.metrics:
        if len(args.metrics) > 1:
            raise UserError("--metrics udr compares several files; compute the other scores one file at a time")
        return score_udr(args.codes, runs, files), record
    if len(runs) > 1:
        raise UserError("several files of codes are for --metrics udr only; score them one at a time")
    if args.factors is None and any(METRICS[name].needs for name in find_metrics(args.metrics)):
        raise UserError("--factors is missing (only --metrics unsupervised and udr need none): name an array or a file")
    factors, left_out = (None, {}) if args.factors is None else read_factors(args.factors, files[0])
    preset = find_preset(args.preset)
    if args.points is not None:
        name = f"{preset.name}, {args.points} points"
        preset = replace(preset, name=name, train_points=args.points, test_points=args.points)
    settings = {name: getattr(args, name) for name in ("seed", "bootstrap", "workers")}
    columns = list(left_out.values())
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always", UserWarning)
        scores = evaluate(runs[0], factors, args.metrics, left_out=columns, preset=preset, progress=True, **settings)
    for note in dict.fromkeys(str(note.message) for note in notes):
        print(f"note: {note}", file=sys.stderr)
    return scores, {**record, "factors": args.factors, **scores.protocol, "left_out": list(left_out)}


@command_line
def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    args = build_parser().parse_args(argv)
    if args.list:
        print(list_metrics())
        return
    if not args.codes:
        raise UserError("no codes given: name an npz, npy or csv file (or --list)")
    path = args.json or args.codes[0].with_name(f"{args.codes[0].name}.scores.json")
    writable_folder(path, "--json", *args.codes, *([args.factors] if args.factors else []))
    scores, record = run(args)
    width = max(map(len, scores))
    for key, value in scores.items():
        error = scores.get(f"{key}_se")
        if not key.endswith("_se"):
            name = SCORES[key].name if key in SCORES else ""
            print(f"{key:{width}}  {value:10.4f}{'' if error is None else f'  +- {error:.4f}'}  {name}")
    packages = {package: version(package) for package in ("numpy", "scipy", "scikit-learn")}
    record["versions"] = {"python": platform.python_version(), **packages}
    write_text(path, json.dumps({"scores": scores, "protocol": record}, indent=2) + "\n")
    print(f"written to {path}")
