"""The table of docs/metrics.md on processors: one checkpoint, scored with the kernels of several processors.

    python -m benchmarks.processors FOLDER [--steps 400] [NAME ...]

Trains a Lie group VAE on a sixteenth of the dSprites replica in FOLDER, scores it under each combination of
`tests.processors` with one thread, and prints the largest difference of each score from the first combination. Scores
that are in FOLDER already are not computed again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from system.command_line import Parser, command_line
from tests.processors import COMBINATIONS, ROOT, environment

EVERY = {"orientation": 4, "pos_x": 2, "pos_y": 2}  # 3 * 6 * 10 * 16 * 16 = 46,080 images


def command(folder: Path, *flags: str) -> list[str]:
    data = [f"--data-path={folder}/data", f"--eval_data_path={folder}/data", "--dataset=dsprites"]
    common = ["--eval_dataset=dsprites", "--visualise=no", "--quiet", "--num-threads=1", "--device=cpu"]
    return [sys.executable, "main.py", *data, *common, *flags]


def train(folder: Path, steps: int) -> None:
    """Render the data and train; writes the run FOLDER/version_0."""
    from datasets.render.dsprites import render_file

    (folder / "data").mkdir(parents=True, exist_ok=True)
    render_file(folder / "data", progress=False, every=EVERY)
    flags = ["--recons_loss_type=bce", "--batch-size=64", "-lr=1e-3", "--seed=1", "--split=0", "--end-metrics=no"]
    subprocess.run(command(folder, *flags, f"--max-steps={steps}", f"--log-path={folder}"), cwd=ROOT, check=True)


def score(folder: Path, name: str) -> dict[str, float]:
    """The run's scores under one combination; kept in FOLDER."""
    kept = folder / f"{name}.json"
    if not kept.exists():
        flags = ["--evaluate=True", f"--log-path={folder}/version_0"]
        subprocess.run(command(folder, *flags), cwd=ROOT, check=True, env=environment(name), stdout=sys.stderr)
        kept.write_text((folder / "version_0/scores.json").read_text())
    return json.loads(kept.read_text())["scores"]


@command_line
def main(argv: list[str] | None = None) -> None:
    parser = Parser(prog="python -m benchmarks.processors", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(COMBINATIONS)} [all]")
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args(argv)
    names = args.names or list(COMBINATIONS)
    if unknown := set(names) - set(COMBINATIONS):
        parser.error(f"unknown combination {', '.join(sorted(unknown))}; choose from {', '.join(COMBINATIONS)}")
    if len(names) == 1:
        parser.error("name at least two combinations: the first is compared with the others")
    folder = args.folder.resolve()
    if not (folder / "version_0").exists():
        train(folder, args.steps)
    first, *others = (score(folder, name) for name in names)
    print("| score | value | largest difference |\n|---|---:|---:|")
    for name, value in first.items():
        print(f"| `{name}` | {value:.4f} | {max(abs(other[name] - value) for other in others):.1g} |")


if __name__ == "__main__":
    sys.exit(main())
