"""The table of docs/metrics.md: every metric on five codes made by hand, whose quality is known.

    python -m benchmarks.metric_codes [--write docs/metrics.md] [--workers N]

It takes some minutes, nearly all of them in the trees of DCI. `--write` replaces what stands between the two markers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

import metrics
from system.errors import UserError, command_line
from system.files import write_text

FACTOR_SIZES = (5, 6, 7, 8, 9)
NOISE = 0.02
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"

READING = {
    "fac_eval": "share of votes that name the fixed factor; rotation costs some, copies nothing",
    "fac_train": "the same on the votes it was fitted to; far above `fac_eval`: too few votes",
    "fac_num_act": "latents in use (deviation at least 0.1); read it first",
    "hig_acc": "training accuracy of the pair classifier",
    "val_hig_acc": "its accuracy on fresh pairs; rotation costs much, copies nothing",
    "discrete_mig": "as below without the first factor, as the reference logs it",
    "discrete_mig_all_factors": "the usual MIG: 0 as soon as two latents share a factor evenly",
    "dci_disentanglement": "does a latent serve one factor? copies are allowed",
    "dci_completeness": "is a factor held by one latent? copies are punished",
    "dci_informativeness_train": "trees memorise: says little by itself",
    "dci_informativeness_test": "what of the factors can be read at all; guessing is mean 1 / size",
    "SAP_score": "linear MIG: 0 with copies, and for factors held non-linearly",
    "modularity_score": "does a latent know one factor? weak for mixtures and noise, so read it with explicitness",
    "explicitness_score_train": "linear readability of the values; 0.5 is guessing",
    "explicitness_score_test": "the same on fresh points",
    "gaussian_total_correlation": "nats shared by the latents; copies are expensive, emptiness is free",
    "gaussian_wasserstein_correlation": "the same as a distance, in squared units of the code",
    "gaussian_wasserstein_correlation_norm": "the same over the code's total variance",
    "mutual_info_score": "mean mutual information of two latents; sees non-linear dependence, and some bias",
    "factor_leakage_mean": "nats about a factor outside its best latent",
    "factor_leakage_norm_mean": "the same relative to the best latent: 1 where all are alike",
    "factor_leakage_auc": "area under what still leaks as the best latents are struck out; at best 1 / d^2",
    "factor_leakage_nm_auc": "the same from the second latent on",
    "downstream_rep": "can a forest name the step between two codes? guessing is 1 / 2k = 0.10; more pairs raise it",
    "independence_score": "do steps of different factors point in different directions? the basis does not matter",
    "cyclic_order_error": "does a step, repeated all the way round, return? circles do (0), lines cannot",
    "symmetry_code_error": "error of the linear step; standing still is 1, and a line's jump at the wrap costs much",
    "IRS": "does a latent stay put while its factor is fixed? copies are allowed; noise keeps 0.3",
    "IRS_unweighted": "the same with every varying latent counted alike",
    "RMIG": "MIG on 100 bins",
    "JEMMIG": "MIG that also asks the best latent to know nothing else; noise of several bins costs some",
    "dci_forest_disentanglement": "DCI from bagged trees: faster, spreads importance more",
    "dci_forest_completeness": "the same",
    "dci_forest_informativeness_train": "forests memorise: says little by itself",
    "dci_forest_informativeness_test": "what a forest can read of the factors",
    "dci_lasso_disentanglement": "DCI from a linear model; meaningless where informativeness is about 0",
    "dci_lasso_completeness": "the same; of two equal copies the lasso may take one",
    "dci_lasso_informativeness_train": "R^2 of the lasso: linear content only",
    "dci_lasso_informativeness_test": "the same on fresh points",
    "UDR": "do two runs agree on their latents? no factors needed; chance correlations cost a little",
}


class Codes:
    """A grid data set whose "images" are codes `[n, d]`."""

    factor_sizes = FACTOR_SIZES

    def __init__(self, codes: np.ndarray):
        self.codes = torch.from_numpy(codes.astype(np.float32))

    def __len__(self) -> int:
        return int(np.prod(FACTOR_SIZES))

    def index_to_factors(self, index: np.ndarray) -> np.ndarray:
        """`[n]` -> `[n, k]`."""
        return np.stack(np.unravel_index(index, FACTOR_SIZES), axis=-1)

    def batch(self, index: np.ndarray, device: str = "cpu") -> torch.Tensor:
        """`[n]` -> codes `[n, d]`."""
        return self.codes[index].to(device)


def make_codes(seed: int) -> dict[str, np.ndarray]:
    """Five codes `[n, d]` of all factor combinations; another seed stands for another training run."""
    rng = np.random.default_rng(seed)
    sizes = np.array(FACTOR_SIZES)
    factors = np.stack(np.unravel_index(np.arange(np.prod(sizes)), FACTOR_SIZES), axis=-1)  # [n, k]
    u = (factors - (sizes - 1) / 2) / (sizes / np.sqrt(12))  # [n, k], deviation about 1
    rotation = np.linalg.qr(rng.standard_normal((len(sizes), len(sizes))))[0]
    clean = {
        "ideal": u,
        "rotated": u @ rotation,
        "redundant": np.concatenate([u, u], axis=1),
        "independent": rng.standard_normal(u.shape),
        "collapsed": np.zeros_like(u),
    }
    return {
        name: code + NOISE * rng.standard_normal(code.shape) * (name != "collapsed") for name, code in clean.items()
    }


def scores(workers: int | None) -> dict[str, dict[str, float]]:
    """Code -> name -> value, by the full protocol; UDR between two runs."""
    first, second = make_codes(0), make_codes(1)
    columns = {}
    for name, codes in first.items():
        columns[name] = metrics.evaluate(lambda z: z, Codes(codes), batch_size=100_000, workers=workers)
        columns[name]["UDR"] = metrics.udr([codes, second[name]])["UDR"]
    return columns


def markdown(columns: dict[str, dict[str, float]]) -> str:
    """The table, one logged name a line."""
    lines = [f"| logged name | {' | '.join(columns)} | how to read it |", "|---|" + "---:|" * len(columns) + "---|"]
    for name, sentence in READING.items():
        values = " | ".join(f"{column[name]:.2f}" for column in columns.values())
        lines.append(f"| `{name}` | {values} | {sentence} |")
    return "\n".join(lines)


@command_line
def main() -> None:
    """Prints the table, or writes it into a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="file with the two markers")
    parser.add_argument("--workers", type=int, help="processes for DCI (default: one per core)")
    args = parser.parse_args()
    before, _, rest = (args.write.read_text(encoding="utf-8") if args.write else BEGIN + END).partition(BEGIN)
    _, marker, after = rest.partition(END)
    if not marker:
        raise UserError(f"{args.write}: lacks the markers {BEGIN} and {END}")
    table = markdown(scores(args.workers))
    if args.write:
        write_text(args.write, f"{before}{BEGIN}\n{table}\n{END}{after}")
    else:
        print(table)


if __name__ == "__main__":
    sys.exit(main())
