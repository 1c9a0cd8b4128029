"""How much of each score is lost because factors lie at an angle to the latents: scores before and after rotations.

The prior is the same in every direction, so that a model may learn a factor along a line between two latents. Rotating
two latents in their plane keeps all information; MIG, SAP, DCI and the FactorVAE score ask for one latent per factor.
The rotations are chosen with the factors: the result is no score of the model, but distinguishes a rotated code from
one that mixes factors otherwise.
"""

from __future__ import annotations

import numpy as np

from study import plan

METRICS = ("factor_vae", "mig", "sap", "dci")
SHOWN = ("FactorVAE", "MIG, all factors", "SAP", "DCI")  # columns of plan.SCORES


def scores(codes: np.ndarray, factors: np.ndarray) -> dict:
    """`rotations` (of `metrics.rotations`), and the scores `before` and `after` them, by column: protocol `fast`."""
    from metrics import evaluate
    from metrics.rotations import aligned

    turned, rotations = aligned(codes, factors)
    found: dict = {"rotations": rotations}
    for name, z in (("before", codes), ("after", turned)):
        values = evaluate(z, factors, METRICS, preset="fast", left_out=[], workers=1)
        found[name] = {column: values[plan.SCORES[column]] for column in SHOWN}
    return found
