"""Sample counts of the protocols. `full`: the reference protocol; `fast`: for scores after every epoch and demos."""

from __future__ import annotations

import numbers
from dataclasses import asdict, dataclass

from metrics.checks import InputError


@dataclass(frozen=True)
class Preset:
    """Sample counts of all protocols. To change some: `dataclasses.replace(PRESETS["full"], train_points=5000)`."""

    name: str
    encoded_images: int = 2**40  # images of a data set to encode, a fixed sample; all if it has fewer
    train_points: int = 1_000  # one-set scores, and the training set of DCI, explicitness
    test_points: int = 1_000
    factor_train_votes: int = 10_000
    factor_eval_votes: int = 5_000
    factor_batch: int = 64
    factor_variance_points: int = 10_000
    beta_points: int = 1_000  # for training, and as many for evaluation
    beta_batch: int = 5
    dci_trees: int = 100  # boosting rounds
    step_points: int = 1_000  # pairs (image, image after one symmetry step) for training, and as many for testing
    forest_trees: int = 100  # of the downstream task
    image_points: int = 1_000  # images decoded for reconstruction and image errors
    intervention_points: int = 10_000  # IRS


PRESETS = {
    "full": Preset("full"),
    "fast": Preset(
        "fast",
        encoded_images=50_000,
        train_points=500,
        test_points=500,
        factor_train_votes=800,
        factor_eval_votes=800,
        factor_batch=32,
        factor_variance_points=2_000,
        beta_points=500,
        dci_trees=10,
        step_points=300,
        image_points=200,
        intervention_points=2_000,
    ),
}
COUNTED_FROM_1 = ("beta_batch", "dci_trees", "forest_trees")


def find_preset(preset: str | Preset) -> Preset:
    """The preset of this name, or the given one, checked. Raises InputError for unknown names and too small counts."""
    if isinstance(preset, str):
        if preset not in PRESETS:
            raise InputError(f"preset {preset!r}: choose one of {', '.join(PRESETS)}")
        preset = PRESETS[preset]
    if not isinstance(preset, Preset):
        raise InputError(f"preset is {preset!r}: give {' or '.join(map(repr, PRESETS))}, or a Preset")
    for field, count in asdict(preset).items():
        if field != "name" and not isinstance(count, numbers.Integral):
            raise InputError(f"preset {preset.name!r}: {field} is {count!r}; it must be an integer")
        if field != "name" and count < (1 if field in COUNTED_FROM_1 else 2):
            raise InputError(f"preset {preset.name!r}: {field} is {count}; it must be larger")
    return preset
