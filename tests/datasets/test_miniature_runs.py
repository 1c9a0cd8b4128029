"""A training of a few steps on a miniature of each data set, through the command line."""

import json

import miniatures
import numpy as np
import pytest
from PIL import Image

import main
from datasets import DATASETS, find, mpi3d

TINY = ["--model=beta_shapes", "--latents=3", "--batch-size=8", "--max-steps=1", "--seed=1", "--quiet"]
TINY += ["--num-threads=1", "--end-metrics=no", "--visualise=no"]
pytestmark = pytest.mark.usefixtures("narrow_networks")
GRID = {"color": 2, "shape": 2, "size": 2, "camera_height": 1, "horizontal_axis": 3, "vertical_axis": 2}


@pytest.fixture
def write(dsprites_file, shapes3d_file, monkeypatch):
    """Writes the miniature of a data set into a folder; returns what --data-path is to be."""

    def write(name, folder):
        folder.mkdir()
        if name.startswith("mpi3d"):
            (file,) = find(name).files
            monkeypatch.setattr(mpi3d, DATASETS[name].partition(":")[2], mpi3d.spec(name, "an object", file, GRID))
            miniatures.mpi3d(folder / file.name, GRID)
        elif name.endswith("dsprites"):
            dsprites_file(folder)
        elif name == "shapes3d":
            shapes3d_file(folder)
        elif name == "images":
            for number in range(20):
                Image.fromarray(miniatures.noise(40, 50, 3, seed=number)).save(folder / f"{number}.png")
        elif name == "arrays":
            np.savez(folder / "own.npz", images=miniatures.noise(20, 64, 64))
            return folder / "own.npz"
        else:
            getattr(miniatures, name.removeprefix("fashion_"))(folder)
        return folder

    return write


@pytest.mark.parametrize("name", DATASETS)
def test_a_run_trains_on_it(name, write, tmp_path):
    path = write(name, tmp_path / "data")
    assert main.main([*TINY, f"--dataset={name}", f"--data-path={path}", f"--log-path={tmp_path / 'logs'}"]) == 0
    run = tmp_path / "logs" / "version_0"
    assert json.loads((run / "status.json").read_text())["state"] == "finished"
    assert json.loads((run / "args.json").read_text())["data_source"]


def test_help_data_describes_the_set_and_its_flags(capsys):
    assert main.main(["--dataset=smallnorb", "--help-data"]) == 0
    said = capsys.readouterr().out
    for text in ("category 5, instance 10", "may not be sold", "known", "miniatures"):
        assert text in said


def test_the_list_names_every_set(capsys):
    from datasets.__main__ import main as list_main

    assert list_main(["--list"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n{name}" in f"\n{said}" for name in DATASETS)
    assert list_main(["celeba"]) == 0
    assert "non-commercial research" in capsys.readouterr().out
    assert list_main(["imagenet"]) == 2
    assert "'imagenet' is not a data set; choose from dsprites, shapes3d" in capsys.readouterr().err
