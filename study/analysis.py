"""Why a run scores as it does: rotations of its latents, and how far its basis follows the penalties."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from logger.run_directory import RunDirectory
from study import plan
from study.records import read_curve, record, write_json


def analyse(run: Path, study: Path) -> None:
    """Analyse the newest codes and weights of a collected run, and write the result to analysis.json of its record.

    That is `epochs` at which they were taken; what `rotated_scores` returns; and `basis` of a Lie group VAE. Nothing if
    the run has no codes of images with factors.
    """
    run_dir = RunDirectory.existing(run, "--collect")
    args = run_dir.read_args()
    if not run_dir.codes_file.is_file():
        return
    with np.load(run_dir.codes_file, allow_pickle=False) as tables:
        codes, factors = tables["codes"], tables["factors"]  # [n, d], [n, k]
    curve = read_curve(run_dir.metrics_file)
    found = {"epochs": len(curve), **rotated_scores(codes, factors)}
    if args["model"] == "lie_group":
        last = curve.iloc[-1]
        share = float(args["hy_hes"] * last["metric/hessian"] / last["metric/loss"])
        found["basis"] = {"share of the loss": share, **basis(run_dir.model_file, codes)}
    folder = record(study, plan.of_run(args).name, args["seed"])
    write_json(folder / "analysis.json", found)


def rotated_scores(codes: np.ndarray, factors: np.ndarray) -> dict:
    """Scores of codes `[n, d]` before and after rotations of pairs of latents, chosen with the factors `[n, k]`.

    Returns: `rotations` made; scores `before` and `after`, protocol `fast`; `chance`, what the same search gains in MIG
        on shuffled factors and on noise.
    """
    from metrics import evaluate
    from metrics.rotations import aligned, rotations

    turned, made = aligned(codes, factors)
    gains = rotations(codes, factors)
    found: dict = {"rotations": made, "chance": {key: gains[key] for key in ("mig_gain_shuffled", "mig_gain_noise")}}
    for name, z in (("before", codes), ("after", turned)):
        values = evaluate(z, factors, ["factor_vae", "mig", "sap", "dci"], preset="fast", workers=1)
        found[name] = {key: values[key] for key in plan.ROTATED}
    return found


def basis(weights: Path, codes: np.ndarray) -> dict[str, float]:
    """Measures of the basis matrices of a Lie group VAE with one subgroup.

    Returns: their `size` m, norms of `product` and `commutator` relative to those of their factors (for random matrices
        the roots of 1/m and 2/m), and the relative `decomposition` error over the codes `[n, d]`.
    """
    import torch

    from models import diagnostics
    from system.files import load_tensors

    state = load_tensors(weights)
    bases = [torch.cat([state[f"decoder.lie_alg_basis_ls.{j}"] for j in range(codes.shape[1])])]  # [d, m, m]
    return {
        "size": bases[0].shape[-1],
        "product": diagnostics.relative_norm(diagnostics.product_norms(bases), bases),
        "commutator": diagnostics.relative_norm(diagnostics.commutator_norms(bases), bases),
        "decomposition": diagnostics.decomposition_error(bases, torch.from_numpy(codes))[1],
    }
