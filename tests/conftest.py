"""What several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_dsprites(tmp_path_factory) -> Path:
    """A folder with a dSprites replica of 3 x 2 x 5 x 4 x 4 = 480 images, in the official layout."""
    from datasets.render.dsprites import render_file

    folder = tmp_path_factory.mktemp("dsprites")
    render_file(folder, progress=False, every={"scale": 3, "orientation": 8, "pos_x": 8, "pos_y": 8})
    return folder


@pytest.fixture
def narrow_networks(monkeypatch) -> None:
    """Every registered model with hidden layers of 50 where it has fully connected networks: fast."""
    from models import MODELS

    for name, model in MODELS.items():
        if model.networks == "mlp":
            model = model._replace(networks=("mlp", {"width": 50}))
        if "factor_vae" in model.where:
            model = model._replace(settings={**model.settings, "discriminator_width": 50})
        monkeypatch.setitem(MODELS, name, model)
