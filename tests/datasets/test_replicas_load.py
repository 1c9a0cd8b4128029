"""The renderers' files go through the loaders like official ones."""

import numpy as np
import pytest

from datasets import load_dataset
from datasets.render import dsprites, shapes3d

CASES = {
    "dsprites": (dsprites, {"scale": 5, "orientation": 13, "pos_x": 31, "pos_y": 16}, (3, 2, 4, 2, 2)),
    "shapes3d": (shapes3d, {"floor_hue": 9, "wall_hue": 5, "scale": 7, "orientation": 14}, (2, 2, 10, 2, 4, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_small_replica_loads_with_its_images_and_factors(name, tmp_path):
    renderer, every, sizes = CASES[name]
    path = renderer.render_file(tmp_path, progress=False, every=every)
    dataset = load_dataset(name, path, progress=False)
    assert (dataset.source, dataset.factor_sizes) == ("replica", sizes)
    index = np.arange(0, len(dataset), 7)
    kept = dataset.index_to_factors(index) * [every.get(factor, 1) for factor in dataset.factor_names]
    assert (dataset.uint8(index) == renderer.draw(kept)).all()
