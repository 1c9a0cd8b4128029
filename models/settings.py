"""What flags set in a model: default, range, and meaning of each in one line. Imports no torch: `--help` reads it.

`main.py` makes a flag of every line. A model reads those that its class, or a base class, names as an annotation:
`hy_hes: float` in the class of the Lie group VAE. `VAE.__init__` sets them all, from arguments or from the defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from system.command_line import at_least, boolean, integers, optional

WEIGHT = at_least(0, float)
SHARE = at_least(0, float, most=1)


class Setting(NamedTuple):
    flag: str
    kind: Callable[[str], Any]  # from text
    default: Any
    meaning: str
    choices: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """Its name as an attribute of the model, and in the namespace."""
        return self.flag[2:].replace("-", "_")


GROUPS: dict[str, list[Setting]] = {  # as in `--help`
    "model": [
        Setting("--latents", at_least(1), 10, "length of the latent code"),
        Setting("--beta", WEIGHT, 1.0, "weight of the KL term"),
        Setting("--capacity", optional(WEIGHT), None, "KL capacity in nats: beta * |KL - C(step)|"),
        Setting("--capacity-leadin", at_least(1), 100000, "steps over which the capacity rises from 0"),
        Setting("--recons_loss_type", str, "l2", "reconstruction loss", ("l2", "bce")),
    ],
    "Lie group VAE": [
        Setting("--subgroup_sizes_ls", integers, [100], "entries of each subgroup's matrices, m*m"),
        Setting("--subspace_sizes_ls", integers, [10], "latents of each subgroup"),
        Setting("--lie_alg_init_scale", WEIGHT, 0.001, "standard deviation of the initial basis"),
        Setting("--hy_hes", WEIGHT, 40.0, "weight of the Hessian penalty on the basis"),
        Setting("--hy_rec", WEIGHT, 0.1, "weight of the distance between encoder features and group element"),
        Setting("--hy_commute", WEIGHT, 0.0, "weight of the commutator penalty on the basis"),
        Setting("--forward_eg_prob", SHARE, 0.2, "probability that a step decodes the encoder's features"),
        Setting("--no_exp", boolean, False, "replace the exponential map with an MLP"),
    ],
    "other models": [
        Setting("--factor_vae_gamma", WEIGHT, 6.4, "weight of the total correlation in FactorVAE"),
        Setting("--tc_beta", WEIGHT, 6.0, "weight of the total correlation in beta_tcvae"),
        Setting("--annealed_gamma", WEIGHT, 1000.0, "weight of |KL - C(step)| in annealed_vae"),
        Setting("--hy_tc", WEIGHT, 0.0, "any model: weight of an additional total correlation"),
        Setting("--tc_estimator", str, "weighted", "its estimator of q(z)", ("weighted", "stratified")),
        Setting("--hy_dip", WEIGHT, 0.0, "any model: weight of an additional DIP penalty"),
        Setting("--dip_type", str, "ii", "DIP: covariance of the means (i) or of all codes (ii)", ("i", "ii")),
        Setting("--lambda_d", WEIGHT, 1.0, "DIP: weight on the diagonal"),
        Setting("--lambda_od", WEIGHT, 10.0, "DIP: weight off the diagonal"),
    ],
}
SETTINGS = {one.name: one for group in GROUPS.values() for one in group}
