"""How much of MIG is lost because factors lie at an angle to the latents: a diagnostic, no score of a model.

The prior is the same in every direction, so that a model may learn a factor along a line between two latents. Rotating
two latents in their plane keeps all information; MIG, SAP, DCI and the FactorVAE score ask for one latent per factor.
The rotations are chosen with the factors, so that even noise gains something: compare the gain with the baselines.
"""

from __future__ import annotations

import itertools

import numpy as np

from metrics.discrete import mutual_information_with_factors
from metrics.mig import gaps

ANGLES = range(-45, 50, 5)  # degrees; larger ones only exchange the two latents
GAIN = 0.005  # of MIG; rotations that gain less are not made


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
        factors: integers `[n, k]`, of which at least one varies.

    Returns: the rotated codes `[n, d]`, and the rotations in order: `(i, j, degrees)`.
    """
    codes, rotations = np.asarray(codes, dtype=np.float64), []
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


def rotations(codes: np.ndarray, factors: np.ndarray, *, most: int = 3, random_state: int = 0) -> dict[str, float]:
    """How far MIG over all factors rises if two latents at a time are rotated such that it rises most.

    1. `aligned`: up to `most` rotations of two latents, by multiples of 5 degrees, each the one that raises MIG most.
    2. `mig_before`, `mig_after`, and `mig_gain`, their difference.
    3. `mig_gain_shuffled`: the gain of the same search where the rows of the factors are shuffled; `mig_gain_noise`:
       that of Gaussian noise in place of the codes. A gain near these two says nothing.

    A rotated code gains most of what it lacks; one that mixes factors otherwise gains little.

    Example:
        >>> angle = np.radians(30)
        >>> codes = factors @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]  # doctest: +SKIP
        >>> rotations(codes, factors)["mig_gain"]  # doctest: +SKIP
    """
    rng = np.random.default_rng(random_state)
    codes = np.asarray(codes, dtype=np.float64)
    noise = rng.standard_normal(codes.shape)  # [n, d]
    shuffled = rng.permutation(factors)  # [n, k]

    def before_and_after(codes: np.ndarray, factors: np.ndarray) -> tuple[float, float]:
        turned, _ = aligned(codes, factors, most)
        before, after = (
            np.nanmean(gaps(mutual_information_with_factors(z, factors), factors)) for z in (codes, turned)
        )
        return float(before), float(after)

    before, after = before_and_after(codes, factors)
    gains = {"mig_before": before, "mig_after": after, "mig_gain": after - before}
    for name, pair in (("shuffled", (codes, shuffled)), ("noise", (noise, factors))):
        low, high = before_and_after(*pair)
        gains[f"mig_gain_{name}"] = high - low
    return gains
