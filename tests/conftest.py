"""What several folders of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_dsprites(tmp_path_factory) -> Path:
    """A folder with a dSprites replica of 3 x 2 x 5 x 4 x 4 = 480 images, in the published layout."""
    from datasets.render.dsprites import render_file

    folder = tmp_path_factory.mktemp("dsprites")
    render_file(folder, progress=False, every={"scale": 3, "orientation": 8, "pos_x": 8, "pos_y": 8})
    return folder
