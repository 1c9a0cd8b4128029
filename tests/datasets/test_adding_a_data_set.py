"""The example of docs/adding_a_data_set.md does what is said there."""

import re
from pathlib import Path

import numpy as np
import pytest

from datasets import DATASETS, load_dataset
from system.errors import UserError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "adding_a_data_set.md"


@pytest.fixture
def stripes(tmp_path, monkeypatch):
    """Adds the documented module under the documented name, with a file to read."""
    module, line = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert line.strip() == '"stripes": "datasets.stripes:SPEC",'
    (tmp_path / "stripes_of_the_document.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(DATASETS, "stripes", "stripes_of_the_document:SPEC")
    images = np.random.RandomState(0).randint(0, 256, (32, 64, 64, 1)).astype(np.uint8)
    np.save(tmp_path / "stripes.npy", images)
    return tmp_path / "stripes.npy", images


def test_the_documented_data_set_loads(stripes):
    path, images = stripes
    dataset = load_dataset("stripes", path.parent)
    assert (dataset.name, dataset.source, dataset.factor_sizes) == ("stripes", "stripes.npy", (8, 4))
    batch = dataset.batch(np.array([9]))
    assert np.array_equal(batch[0, 0].numpy(), images[9, ..., 0] / np.float32(255))
    assert dataset.index_to_factors(np.array([9])).tolist() == [[2, 1]]


def test_the_documented_data_set_needs_a_path_and_knows_no_shape(stripes):
    with pytest.raises(UserError, match="--data-path is needed for --dataset stripes: name stripes.npy"):
        load_dataset("stripes")
    with pytest.raises(UserError, match="--fixed_shape 1 does nothing for --dataset stripes"):
        load_dataset("stripes", stripes[0], fixed_shape=1)


def test_the_documented_data_set_refuses_a_wrong_file(stripes):
    np.save(stripes[0], np.zeros((5, 64, 64, 1), np.uint8))
    with pytest.raises(UserError, match=r"expected uint8 \(32, 64, 64, 1\), found uint8 \(5, 64, 64, 1\)"):
        load_dataset("stripes", stripes[0])
