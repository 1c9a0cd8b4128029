"""Disentanglement metrics: functions of codes `[n, d]` and factors `[n, k]` that return dicts of floats."""

from metrics.beta_vae import beta_vae
from metrics.checks import InputError
from metrics.dci import dci
from metrics.downstream import downstream
from metrics.evaluation import Scores, evaluate
from metrics.explicitness import explicitness
from metrics.factor_leakage import factor_leakage
from metrics.factor_vae import factor_vae
from metrics.info import SCORES
from metrics.irs import irs
from metrics.mig import mig
from metrics.model_scores import ModelScores, score_model
from metrics.modularity import modularity
from metrics.protocol import METRICS, PRESETS, Preset
from metrics.rotations import rotations
from metrics.sap import sap
from metrics.table import check_dataset, encode
from metrics.true_independence import true_independence
from metrics.udr import udr
from metrics.unsupervised import unsupervised

__all__ = ["METRICS", "PRESETS", "SCORES", "InputError", "ModelScores", "Preset", "Scores", "beta_vae"]
__all__ += ["check_dataset", "dci", "downstream", "encode", "evaluate", "explicitness", "factor_leakage", "factor_vae"]
__all__ += ["irs", "mig", "modularity", "rotations", "sap", "score_model", "true_independence", "udr", "unsupervised"]
