"""Damaged files of every kind that is read: read, or refused by a UserError; never another error, nothing else changed.

FUZZ_EXAMPLES is the number of damaged files of each kind; `FUZZ_EXAMPLES=5000 pytest tests/test_fuzz.py` by hand.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets import load_dataset
from logger import checkpoints
from logger.reading import read_run
from logger.run_directory import RunDirectory
from metrics.files import read_tables
from system.errors import UserError
from tests.test_trainer import run

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 10))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES <= 20,
    suppress_health_check=list(HealthCheck),
)
TEXT = st.characters(exclude_categories=["Cs"])  # the default, what UTF-8 can spell, takes seconds to be found
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, -(2**63), 10**30])
    | st.floats()
    | st.text(TEXT, max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(TEXT, max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """The bytes with a few of them changed, left out, put in or repeated, and perhaps cut short."""
    out = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        # Headers lie at both ends.
        near = (
            st.integers(0, min(300, len(out)))
            | st.integers(0, len(out))
            | st.integers(max(0, len(out) - 300), len(out))
        )
        at = draw(near)
        kind = draw(st.sampled_from(["change", "delete", "insert", "repeat", "cut"]))
        some = draw(st.binary(min_size=1, max_size=9))
        if kind == "change":
            out[at : at + len(some)] = some
        elif kind == "delete":
            del out[at : at + draw(st.integers(1, 64))]
        elif kind == "insert":
            out[at:at] = some
        elif kind == "repeat":
            out[at:at] = out[at : at + draw(st.integers(1, 300))]
        else:
            del out[at:]
    return bytes(out)


def places(value, path: tuple = ()) -> list[tuple]:
    """The path of every value in nested tables and lists."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


@st.composite
def altered(draw, make, values):
    """What `make()` returns, with one or two of its values replaced or left out."""
    state = make()
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(places(state)))
        if not path:
            return draw(values)
        inner = state
        for key in path[:-1]:
            inner = inner[key]
        if draw(st.booleans()):
            inner[path[-1]] = draw(values)
        else:
            del inner[path[-1]]
    return state


def refused_or_read(read) -> None:
    """Nothing but a UserError may come out; its message is one line."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read()
        except UserError as error:
            assert str(error) and "\n" not in str(error)


@pytest.fixture(scope="module")
def whole(small_dsprites, narrow_networks, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    run(
        small_dsprites, folder, "--max-steps=2", "--seed=1", "--end-metrics=no", "--visualise=no", "--model=beta_shapes"
    )
    (folder / "version_0" / "scores.json").write_text(
        json.dumps({"scores": {"fac_eval": 0.5}, "protocol": {"seed": 1}})
    )
    return folder / "version_0"


@pytest.fixture(scope="module")
def copy(whole, tmp_path_factory) -> Path:
    """A run whose files may be damaged, alone in its folder."""
    folder = tmp_path_factory.mktemp("fuzz")
    shutil.copytree(whole, folder / "version_0")
    return folder / "version_0"


@contextlib.contextmanager
def in_place_of(file: Path, content: bytes):
    """The file with this content, in the body; nothing may be made or lost beside it."""
    before, listed = file.read_bytes(), sorted(map(str, file.parents[1].rglob("*")))
    file.write_bytes(content)
    try:
        yield
        assert sorted(map(str, file.parents[1].rglob("*"))) == listed
    finally:
        file.write_bytes(before)


def read_all_of(folder: Path) -> None:
    directory = RunDirectory(folder)
    directory.state()
    directory.sessions()
    refused_or_read(directory.read_args)
    found = []
    refused_or_read(lambda: found.append(read_run(folder)))
    for read in found:
        refused_or_read(lambda read=read: (read.scalars, read.curve("train/loss"), read.last("metric/loss")))


JSON = ["args.json", "status.json", "scores.json"]


@pytest.mark.parametrize("name", [*JSON, "log_metrics.txt", "scalars.csv"])
@given(st.data())
@FUZZ
def test_bytes_of_a_runs_records(name, copy, data):
    (file,) = copy.glob(f"{name}*")
    with in_place_of(file, data.draw(damaged(file.read_bytes()))):
        read_all_of(copy)


@pytest.mark.parametrize("name", JSON)
@given(st.data())
@FUZZ
def test_values_of_a_runs_records(name, copy, data):
    text = (copy / name).read_text()
    content = json.dumps(data.draw(altered(lambda: json.loads(text), PLAIN)))
    with in_place_of(copy / name, content.encode()):
        read_all_of(copy)


def load_checkpoint(folder: Path) -> None:
    refused_or_read(lambda: checkpoints.load_training(RunDirectory(folder)))


@pytest.fixture(scope="module")
def with_checkpoint(copy) -> Path:
    checkpoint = copy / "checkpoints" / "training.pt"
    shutil.copy(checkpoint, copy.parent / "whole.pt")
    (copy / "checkpoints" / "training.previous.pt").unlink(missing_ok=True)
    return checkpoint


@given(st.data())
@FUZZ
def test_bytes_of_a_checkpoint(with_checkpoint, copy, data):
    with in_place_of(with_checkpoint, data.draw(damaged(with_checkpoint.read_bytes()))):
        load_checkpoint(copy)


TENSORS = st.sampled_from(
    [
        torch.zeros(2),
        torch.zeros(0),
        torch.tensor(float("nan")),
        torch.zeros(1).expand(2**20, 2**20),
        torch.ones(3).bool(),
    ]
)


@given(st.data())
@FUZZ
def test_bytes_of_a_data_file(small_dsprites, tmp_path_factory, data):
    (file,) = small_dsprites.glob("*.npz")
    folder = tmp_path_factory.mktemp("npz")
    (folder / file.name).write_bytes(data.draw(damaged(file.read_bytes())))

    def read() -> None:
        found = load_dataset("dsprites", folder, progress=False)
        found.batch(np.arange(2), "cpu")

    refused_or_read(read)
    assert all(path.name.startswith(file.name) for path in folder.iterdir())
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def small_h5(tmp_path_factory) -> Path:
    import h5py

    path = tmp_path_factory.mktemp("shapes3d") / "3dshapes.h5"
    with h5py.File(path, "w") as file:
        images = np.random.default_rng(0).integers(256, size=(64, 64, 64, 3), dtype=np.uint8)
        file.create_dataset("images", data=images, chunks=(10, 8, 8, 1), compression="gzip")
        file["labels"] = np.indices((2,) * 6).reshape(6, -1).T * 1.0
        file.attrs["replica"] = "small"
    return path


@given(st.data())
@FUZZ
def test_bytes_of_an_hdf5_file(small_h5, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("h5")
    (folder / small_h5.name).write_bytes(data.draw(damaged(small_h5.read_bytes())))
    refused_or_read(lambda: load_dataset("shapes3d", folder, progress=False).batch(np.arange(2), "cpu"))
    shutil.rmtree(folder)


TABLE = "".join(f"{a}.5,{b},{a * b}e-3\n" for a in range(6) for b in range(4))


@pytest.mark.parametrize("kind", ["csv", "npz", "npy"])
@given(st.data())
@FUZZ
def test_bytes_of_a_table_of_codes(kind, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("codes")
    file = folder / f"codes.{kind}"
    values = np.arange(24.0).reshape(8, 3)
    if kind == "csv":
        file.write_text("a,b,c\n" * data.draw(st.integers(0, 1)) + TABLE)
    else:
        np.save(file, values) if kind == "npy" else np.savez(file, codes=values, factors=values.astype(int))
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    refused_or_read(lambda: read_tables(file))
    assert [path.name for path in folder.iterdir()] == [file.name]
    shutil.rmtree(folder)
