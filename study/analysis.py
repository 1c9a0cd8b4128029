"""Why a run scores as it does: rotations of its latents, and how far its basis follows the penalties."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas

from logger.run_directory import RunDirectory
from study import plan, rotations
from study.harvest import read_curve, record, record_folders
from study.plan import Configuration
from study.tables import spread, table
from system.errors import UserError
from system.files import read_json, write_text


def analyse(run: Path, study: Path) -> dict:
    """Analyse the newest codes and weights of a harvested run, and write the result to analysis.json of its record.

    Returns: `epochs` at which they were taken; what `rotations.scores` returns; for a Lie group VAE, `basis`.
    Raises: UserError if `run` is no scored run of the plan, or is not harvested.
    """
    from metrics.files import read_tables

    run_dir = RunDirectory.existing(run, "--analyse")
    args = run_dir.read_args()
    folder = record(study, plan.of_run(args), args["seed"])
    if not folder.is_dir():
        raise UserError(f"--analyse {run}: {folder} does not exist; add the run with --harvest first")
    tables = read_tables(run_dir.codes_file)
    codes, factors = tables["codes"].values, tables["factors"].values  # [n, d], [n, k]
    curve = read_curve(run_dir.metrics_file)
    found = {"epochs": len(curve), **rotations.scores(codes, factors)}
    if args["model"] == "lie_group":
        last = curve.iloc[-1]
        share = float(args["hy_hes"] * last["metric/hessian"] / last["metric/loss"])
        found["basis"] = {"share of the loss": share, **basis(run_dir.model_file, codes)}
    write_text(folder / "analysis.json", json.dumps(found, indent=2) + "\n")
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
    names = [f"decoder.lie_alg_basis_ls.{j}" for j in range(codes.shape[1])]
    bases = [torch.cat([state[name] for name in names])]  # [d, m, m]
    return {
        "size": bases[0].shape[-1],
        "product": diagnostics.relative_norm(diagnostics.product_norms(bases), bases),
        "commutator": diagnostics.relative_norm(diagnostics.commutator_norms(bases), bases),
        "decomposition": diagnostics.decomposition_error(bases, torch.from_numpy(codes))[1],
    }


def rotation_table(study: Path, configurations: Sequence[Configuration]) -> str:
    """The scores before and after rotations of two latents each, see `rotations.scores`."""
    rows = []
    for c in configurations:
        if not (found := _analyses(study, c)):
            continue
        cells = []
        for column in rotations.SHOWN:
            before, after = (pandas.Series([100 * run[when][column] for run in found]) for when in ("before", "after"))
            cells.append(f"{spread(before)} → {spread(after)}")
        epochs = "/".join(dict.fromkeys(str(run["epochs"]) for run in found))
        rows.append([f"`{c.name}`", f"{len(found)}", epochs, *cells])
    title = (
        "`fast` protocol, before → after rotating latents in up to 3 planes, chosen with the factors to raise MIG;\n"
        "not scores of the model: they show how much it loses because factors lie at an angle to its latents.\n"
    )
    return "\n".join([title, table(["configuration", "n", "epoch", *rotations.SHOWN], rows)]) if rows else ""


def basis_table(study: Path, configurations: Sequence[Configuration]) -> str:
    """Measures of the bases of Lie group VAEs, see `basis`."""
    rows = []
    for c in configurations:
        if found := pandas.DataFrame([run["basis"] for run in _analyses(study, c) if "basis" in run]).to_dict("series"):
            size = found["size"].iloc[0]
            chance = {"product": (1 / size) ** 0.5, "commutator": (2 / size) ** 0.5}
            cells = [f"{spread(found[name], 2)} ({chance[name]:.2f})" for name in chance]
            share = f"{100 * found['share of the loss'].mean():.2g} %"
            rows.append([f"`{c.name}`", f"{len(found['size'])}", *cells, spread(found["decomposition"], 2), share])
    title = (
        "The basis: products and commutators relative to `||A_i|| ||A_j||`, in brackets those of random matrices of\n"
        "this size; the relative decomposition error; the weighted Hessian penalty as a share of the loss.\n"
    )
    header = ["configuration", "n", "`A_i A_j`", "`[A_i, A_j]`", "decomposition error", "Hessian penalty"]
    return "\n".join([title, table(header, rows)]) if rows else ""


def _analyses(study: Path, configuration: Configuration) -> list[dict]:
    """The contents of analysis.json of every run of the configuration that has one."""
    files = [folder / "analysis.json" for _, folder in record_folders(study, configuration.name)]
    return [read_json(file) for file in files if file.is_file()]
