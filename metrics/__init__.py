"""Disentanglement metrics: map representations `[n, d]` and factors `[n, k]` to a flat dict of floats."""

from metrics.evaluation import evaluate, matrices
from metrics.inputs import InputError
from metrics.model_scores import ModelScores, mean_codes, score_model
from metrics.presets import PRESETS, Preset
from metrics.registry import METRICS, columns, headlines, scores
from metrics.udr import score as udr

__all__ = ["METRICS", "PRESETS", "InputError", "ModelScores", "Preset", "columns", "evaluate", "headlines"]
__all__ += ["matrices", "mean_codes", "score_model", "scores", "udr"]
