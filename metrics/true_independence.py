"""True independence: linear representations of the symmetry steps, fitted to codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from metrics.checks import constant

SMALL = 1e-6


def fit_actions(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Least-squares matrices A `[k, d, d]` with A z = z', per factor, for codes `[k, n, d]` before and after a step."""
    return np.stack([np.linalg.lstsq(z, z_next, rcond=None)[0].T for z, z_next in zip(before, after, strict=True)])


def independence(actions: np.ndarray, codes: np.ndarray) -> float:
    """1 - mean over factors and codes of the largest |cosine| of a step with the step of another factor.

    Actions are `[k, d, d]`, codes `[n, d]`. If an action does not change a code, its cosine counts as 1. A single
    factor scores 1 if its action changes the codes.
    """
    moved = np.einsum("kij,nj->kni", actions, codes) - codes  # [k, n, d]
    length = np.linalg.norm(moved, axis=-1, keepdims=True)  # [k, n, 1]
    still = length[..., 0] <= SMALL * np.sqrt(codes.shape[1])  # [k, n]
    unit = moved / np.where(length > 0, length, 1.0)
    cosine = np.abs(np.einsum("ani,bni->abn", unit, unit))  # [k, k, n]
    cosine[np.arange(len(actions)), np.arange(len(actions))] = 0.0
    return float(1.0 - np.where(still, 1.0, cosine.max(axis=1)).mean())


def mean_ratio(error: np.ndarray, size: np.ndarray) -> float:
    """Mean over factors of ||error||^2 / ||size||^2, each averaged over pairs first, `[k, n, d]`; 1 where size is 0."""
    above, below = ((table**2).sum(-1).mean(-1) for table in (error, size))  # [k] each
    return float(np.divide(above, below, out=np.ones_like(above), where=below > 0).mean())


def true_independence(
    before: np.ndarray,
    after: np.ndarray,
    before_test: np.ndarray,
    after_test: np.ndarray,
    sizes: Sequence[int],
    *,
    image_error: Callable[[np.ndarray], float] | None = None,
) -> dict[str, float]:
    """Do the symmetry steps of different factors act on the code linearly, cyclically, and in different directions?

    1. Divide each latent by its deviation over the training pairs, for invariance to scale; drop constant latents.
    2. Per varying factor of n values: the least-squares matrix A between the codes before and after one step forwards
       (cyclic: the last value is followed by the first), over 1,000 pairs.
    3. On fresh pairs: `independence_score` = 1 - mean over factors a and codes z of max over b of |cos(A_a z - z,
       A_b z - z)|.
    4. `cyclic_order_error` = mean over factors of ||A^n z - z||^2 / ||z||^2; 0 for a representation of the cyclic
       group.
    5. `symmetry_code_error` = mean over factors of ||A z - z'||^2 / ||z' - z||^2, each averaged over pairs first; 1 for
       A = I.
    6. `symmetry_image_error` (with a decoder) = mean squared error per pixel between the decoded A z and the true
       next image.

    Ranges: independence [0, 1], ideal 1, collapsed 0; errors at least 0, ideal 0. The ideal code for all of them
    represents each factor on a circle around the origin, in a separate plane. A code with one latent per factor is
    independent (1) but not cyclic, and the jump from the last value to the first causes a large code error. Rotations
    of the code do not change the scores. Invariant to the scale of each latent and to dead latents, but not to offset:
    circles are around the origin. For an uninformative code the best A is nearly 0 for all factors: independence about
    0, code error about 0.5. Constant factors are left out; with none left, or for a collapsed code: 0, 1, 1.

    Source: Painter, Hare & Pruegel-Bennett 2020, section 5 (true independence); definition of Higgins et al. 2018.
    Convention: the precise forms above are this project's; the published figures are not normalised.

    Args:
        before, after: codes `[k, n, d]` before and after one step forwards of each of k varying factors.
        before_test, after_test: the same of fresh pairs.
        sizes: number of values of each factor, `[k]`.
        image_error: codes `[k n, d]` that should be those of the test pairs after the step -> error of their images.

    Example:
        >>> turn = np.array([[0.0, -1.0], [1.0, 0.0]])  # a quarter turn: a factor of four values on a circle
        >>> z = np.random.default_rng(0).standard_normal((1, 100, 2))
        >>> round(true_independence(z, z @ turn.T, z, z @ turn.T, [4])["cyclic_order_error"], 6)
        0.0
    """
    before, after, before_test, after_test = (
        np.asarray(table, dtype=np.float64) for table in (before, after, before_test, after_test)
    )
    d = before.shape[-1]
    every = before.reshape(-1, d)  # [k n, d]
    useless = {"independence_score": 0.0, "cyclic_order_error": 1.0, "symmetry_code_error": 1.0}
    active = ~constant(every) if len(every) else np.zeros(d, dtype=bool)
    if not active.any():
        return useless
    deviation = every[:, active].std(0)  # [active]

    def standard(z):
        return z[..., active] / deviation  # [..., active]

    actions = fit_actions(standard(before), standard(after))  # [k, active, active]
    z = standard(before_test)  # [k, n, active]
    z_next = standard(after_test)
    predicted = np.einsum("kij,knj->kni", actions, z)
    cycles = np.stack([np.linalg.matrix_power(a, int(n)) for a, n in zip(actions, sizes, strict=True)])
    returned = np.einsum("kij,knj->kni", cycles, z)
    result = {
        "independence_score": independence(actions, z.reshape(-1, z.shape[-1])),
        "cyclic_order_error": mean_ratio(returned - z, z),
        "symmetry_code_error": mean_ratio(predicted - z_next, z - z_next),
    }
    if image_error is not None:
        moved = np.zeros((*predicted.shape[:2], d)) + every.mean(0)  # [k, n, d]
        moved[..., active] = predicted * deviation
        result["symmetry_image_error"] = image_error(moved.reshape(-1, d))
    return result
