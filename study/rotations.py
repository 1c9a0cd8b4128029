"""How much of each score is lost because factors lie at an angle to the latents: scores before and after rotations.

The prior is the same in every direction, so that a model may learn a factor along a line between two latents. Rotating
two latents in their plane keeps all information; MIG, SAP, DCI and the FactorVAE score ask for one latent per factor.
The rotations are chosen with the factors: the result is no score of the model, but distinguishes a rotated code from
one that mixes factors otherwise.
"""

from __future__ import annotations

import itertools

import numpy as np

from study import plan

ANGLES = range(-45, 50, 5)  # degrees; larger ones only exchange the two latents
GAIN = 0.005  # of MIG; rotations that gain less are not made
METRICS = ("factor_vae", "mig", "sap", "dci")
SHOWN = ("FactorVAE", "MIG, all factors", "SAP", "DCI")  # columns of plan.SCORES


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


def scores(codes: np.ndarray, factors: np.ndarray) -> dict:
    """`rotations` (from `aligned`), and the scores `before` and `after` them, by column: protocol `fast`."""
    from metrics import evaluate

    turned, rotations = aligned(codes, factors)
    found: dict = {"rotations": rotations}
    for name, z in (("before", codes), ("after", turned)):
        values = evaluate(z, factors, METRICS, preset="fast", left_out=[], workers=1)
        found[name] = {column: values[plan.SCORES[column]] for column in SHOWN}
    return found
