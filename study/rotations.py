"""How much of each score is lost because factors lie at an angle to the latents: scores before and after rotations.

The prior is the same in every direction, so that a model may learn a factor along a line between two latents. Rotating
two latents in their plane keeps all information; MIG, SAP, DCI and the FactorVAE score ask for one latent per factor.
The rotations are chosen with the factors: the result is no score of the model, but tells a rotated code from one that
mixes factors otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from study.plan import SCORES
from system.errors import Parser, UserError, command_line

ANGLES = range(-45, 50, 5)  # degrees; larger ones only exchange the two latents
GAIN = 0.005  # of MIG; rotations that gain less are not made
METRICS = ("factor_vae", "mig", "sap", "dci")
SHOWN = ("FactorVAE", "MIG, all factors", "SAP", "DCI")


def rotated(codes: np.ndarray, i: int, j: int, angle: float) -> np.ndarray:
    """Codes `[n, d]` with latents i and j rotated in their plane by the angle in degrees."""
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    turned = codes.copy()  # [n, d]
    turned[:, i] = cosine * codes[:, i] - sine * codes[:, j]
    turned[:, j] = sine * codes[:, i] + cosine * codes[:, j]
    return turned


def aligned(codes: np.ndarray, factors: np.ndarray, most: int = 3) -> tuple[np.ndarray, list[tuple[int, int, int]]]:
    """Rotate two latents at a time such that MIG over all factors rises most, at most `most` times.

    Args:
        codes: `[n, d]`.
        factors: integers `[n, k]`.
    Returns:
        The rotated codes `[n, d]`, and the rotations in order: `(i, j, degrees)`.
    """
    from metrics.discrete import mutual_information_with_factors
    from metrics.mig import gaps

    codes, rotations = codes.astype(np.float64), []
    information = mutual_information_with_factors(codes, factors)  # [d, k]
    for _ in range(most):
        best, before = None, np.nanmean(gaps(information, factors))
        for i, j in itertools.combinations(range(codes.shape[1]), 2):
            for angle in ANGLES:
                pair = rotated(codes[:, [i, j]], 0, 1, angle)  # [n, 2]
                changed = information.copy()
                changed[[i, j]] = mutual_information_with_factors(pair, factors)
                score = np.nanmean(gaps(changed, factors))
                if score > before + GAIN and (best is None or score > best[0]):
                    best = score, i, j, angle, changed
        if best is None:
            break
        _, i, j, angle, information = best
        codes = rotated(codes, i, j, angle)
        rotations.append((i, j, angle))
    return codes, rotations


def row(file: Path) -> list[str]:
    """The file, its rotations, and each score in percent before and after them. Raises UserError for another file."""
    from metrics import evaluate
    from metrics.files import read_tables

    tables = read_tables(file)
    if not {"codes", "factors"} <= tables.keys():
        raise UserError(f"{file} has no arrays `codes` and `factors`: name the codes.npz of a scored run")
    codes, factors = tables["codes"].values, tables["factors"].values
    turned, rotations = aligned(codes, factors)
    before, after = (evaluate(z, factors, METRICS, preset="fast", left_out=[], workers=1) for z in (codes, turned))
    cells = [f"{100 * before[name]:.1f} → {100 * after[name]:.1f}" for name in (SCORES[column] for column in SHOWN)]
    return [str(file), ", ".join(f"z{i} z{j} {angle}°" for i, j, angle in rotations) or "-", *cells]


@command_line
def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = Parser(prog="python -m study.rotations", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("codes", nargs="+", type=Path, metavar="CODES", help="codes.npz of scored runs")
    header = ["codes", "rotations", *SHOWN]
    lines = itertools.chain([header, ["---"] * len(header)], map(row, parser.parse_args(argv).codes))
    for cells in lines:
        print("| " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
