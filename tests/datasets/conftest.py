"""Small files in exactly the official layouts, made from random images."""

import hashlib
import mmap
import threading
from dataclasses import replace

import h5py
import numpy as np
import pytest
from local_publisher import BODY, Publisher

from datasets.files import fetch
from datasets.spec import DataFile

DSPRITES_NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
SHAPES3D_NAME = "3dshapes.h5"


def write_dsprites(directory, sizes=(3, 2, 4, 2, 3), seed=0, **changes):
    """A file with all combinations of the five factors. `changes` replace arrays, or with None leave them out."""
    shape = (1, *sizes)
    count = int(np.prod(shape))
    images = np.random.RandomState(seed).randint(0, 2, (count, 64, 64)).astype(np.uint8)
    classes = np.stack(np.unravel_index(np.arange(count), shape), axis=-1)
    arrays = {"imgs": images, "latents_values": classes + 0.5, "latents_classes": classes}
    # The official file holds a pickle, which no reader here may open.
    arrays["metadata"] = np.array({"latents_sizes": shape}, dtype=object)
    arrays["replica"] = np.array("a small file for tests")
    arrays.update(changes)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / DSPRITES_NAME
    np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
    return path, arrays["imgs"]


def write_shapes3d(directory, sizes=(2, 3, 1, 2, 2, 3), seed=0, attributes=None, layout=None, **changes):
    """A file with all combinations of the six factors; `layout` is how HDF5 stores the images."""
    count = int(np.prod(sizes))
    classes = np.stack(np.unravel_index(np.arange(count), sizes), axis=-1)
    images = np.random.RandomState(seed).randint(0, 256, (count, 64, 64, 3)).astype(np.uint8)
    arrays = {"images": images, "labels": classes / 7.0, **changes}
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / SHAPES3D_NAME
    layout = {"chunks": (10, 8, 8, 1), "compression": "gzip"} if layout is None else layout
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if array is not None:
                file.create_dataset(name, data=array, **(layout if name == "images" else {}))
        file.attrs.update({"replica": "a small file for tests"} if attributes is None else attributes)
    return path, arrays["images"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The cache directory of every test is its own."""
    monkeypatch.setenv("LIE_VAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def dsprites_file():
    return write_dsprites


@pytest.fixture
def shapes3d_file():
    return write_shapes3d


@pytest.fixture
def is_mapped():
    """Whether an array's memory is a mapped file."""

    def look(array):
        while not isinstance(array, mmap.mmap) and array is not None:
            array = array.obj if isinstance(array, memoryview) else array.base
        return array is not None

    return look


@pytest.fixture
def publisher():
    server = Publisher()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def file(publisher):
    return DataFile("3dshapes.h5", publisher.url, f"md5:{hashlib.md5(BODY).hexdigest()}")


@pytest.fixture
def get(file, tmp_path):
    def fetch_file(**changes):
        return fetch(replace(file, **changes), tmp_path / "data", progress=False, wait=0.01)

    return fetch_file
