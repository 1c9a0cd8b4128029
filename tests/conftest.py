"""What several folders of tests share."""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# The tests state what holds on a CPU, and fork, which a process with CUDA cannot; test_cuda.py alone sees a GPU.
GPUS = os.environ.get("CUDA_VISIBLE_DEVICES")
os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_configure() -> None:
    """Drawn examples are the same in every run; temporary files lie in memory where they fit and programs may run.

    To search for new examples: `pytest --hypothesis-profile=default`.
    """
    hypothesis.settings.register_profile("same", derandomize=True)
    hypothesis.settings.load_profile("same")
    memory = "/dev/shm"
    if os.path.isdir(memory):
        found = os.statvfs(memory)
        if found.f_bavail * found.f_frsize > 2**30 and not found.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory)


def pytest_collection_finish() -> None:
    """What the imports made stays to the end: the garbage collector need not look through it, nor look so often."""
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """What a test draws from the global generator is the same in every run: none fails one time in a hundred."""
    import torch

    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def measured_once() -> Iterator[None]:
    """What only the printed speed and the record are made of is found once in a process, not in every training."""
    from system import device, speed

    revision, own = device.revision, functools.cache(device.revision)
    counted: dict[tuple, float] = {}
    count = speed.step_flops

    def step_flops(model, *rest) -> float:
        """For the same layers, the number counted first."""
        key = (type(model), *(parameter.shape for parameter in model.parameters()))
        if key not in counted:
            counted[key] = count(model, *rest)
        return counted[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "product_rate", functools.cache(speed.product_rate))
        patch.setattr(speed, "step_flops", step_flops)
        patch.setattr(device, "revision", lambda *folder: revision(*folder) if folder else own())
        yield


@pytest.fixture(scope="session")
def small_dsprites(tmp_path_factory) -> Path:
    """A folder with a dSprites replica of 3 x 2 x 5 x 2 x 2 = 120 images, in the official layout."""
    return write_small_dsprites(tmp_path_factory.mktemp("dsprites"), (1, 3, 8, 16, 16))


def write_small_dsprites(folder: Path, every: tuple[int, ...]) -> Path:
    """Write a dSprites file with every n-th value of each factor, marked as a replica. Returns the folder."""
    import numpy as np

    from datasets.dsprites import FACTORS, FILE
    from datasets.render.dsprites import draw

    kept = [np.arange(0, size, step) for size, step in zip(FACTORS.values(), every, strict=True)]
    factors = np.stack(np.meshgrid(*kept, indexing="ij"), axis=-1).reshape(-1, 5)  # [n, 5]
    classes = np.column_stack([np.zeros(len(factors), int), factors])
    arrays = {"imgs": draw(factors)[..., 0], "latents_classes": classes, "latents_values": classes * 1.0}
    np.savez_compressed(folder / FILE.name, replica=np.array("small"), **arrays)
    return folder


@pytest.fixture(scope="module")
def narrow_networks() -> Iterator[None]:
    """Every registered model with hidden layers of 50 where it has fully connected networks: fast."""
    from models import MODELS

    with pytest.MonkeyPatch.context() as patch:
        for name, model in MODELS.items():
            if model.networks == "mlp":
                model = model._replace(networks=("mlp", {"width": 50}))
            if name.startswith("factor"):
                model = model._replace(fixed={**model.fixed, "discriminator_width": 50})
            patch.setitem(MODELS, name, model)
        yield


@pytest.fixture(scope="module")
def cheap_scores() -> Iterator[None]:
    """The preset `fast` with few samples and trees: every score is there, and says little."""
    from metrics import PRESETS

    few = dict.fromkeys(("train_points", "test_points", "beta_points", "step_points", "image_points"), 20)
    few |= dict.fromkeys(("factor_train_votes", "factor_eval_votes", "factor_batch"), 20)
    few |= {
        "factor_variance_points": 100,
        "intervention_points": 100,
        "beta_batch": 1,
        "dci_trees": 2,
        "forest_trees": 2,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "fast", dataclasses.replace(PRESETS["fast"], **few))
        yield


@pytest.fixture(scope="module")
def cheap_pictures() -> Iterator[None]:
    """Charts are made, but not rendered, which takes longest: they are white."""
    import numpy as np

    from logger import charts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "to_array", lambda figure: np.full((9, 9, 3), 255, np.uint8))
        yield
