"""The lines of docs/notebooks.md run, one block after the other, on a run of the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import main
from logger import read_run
from system.errors import UserError
from tests.test_trainer import run

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "notebooks.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def version(small_dsprites, narrow_networks, cheap_pictures, tmp_path_factory) -> Path:
    log = tmp_path_factory.mktemp("logs")
    run(small_dsprites, log, "--model=beta_shapes", "--max-steps=2", "--seed=1", "--end-metrics=no")
    return log / "version_0"


def test_the_documented_lines_run(version):
    names: dict = {}
    for block in BLOCKS:
        code = block.replace("logs/version_0", str(version)).replace("2000", "100")
        exec(code, names)
    assert names["z"].shape == (100, 3)
    assert not names["model"].training and len(names["dataset"]) == 120
    assert names["codes"].shape == (100, 3)
    assert (
        names["dataset"].index_to_factors(names["index"]).std(axis=0) > 0
    ).all()  # a random sample: all factors vary
    assert names["run"].args["seed"] == 1 and "traversals" in names["run"].pictures
    assert len(names["run"].scalars)


def test_a_run_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match="holds neither args.json"):
        main.load_model(tmp_path)
    with pytest.raises(UserError, match="--epochs"):
        main.load_model(tmp_path, "--epochs=many")


def test_loading_leaves_the_random_generators_as_they_are(version):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    main.load_model(version)
    assert torch.equal(torch.rand(2), expected)


def test_runs_and_data_sets_show_what_they_are_in_three_lines(version):
    model, dataset = main.load_model(version)
    first, factors, last = repr(dataset).splitlines()
    assert first.startswith("dsprites (") and first.endswith("): 120 images, grey")
    assert factors == "  factors: shape 3, scale 2, orientation 5, pos_x 2, pos_y 2"
    assert last == "  all combinations of the factors"
    shown = repr(read_run(version)).splitlines()
    assert len(shown) == 3 and shown[0] == f"run {version}: finished"
    assert shown[1] == "  beta_shapes on dsprites, seed 1"


def python(code: str, cwd: Path) -> subprocess.CompletedProcess:
    """Python runs code in another folder; the project is not in its path."""
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["datasets", "metrics", "models"])
@pytest.mark.parametrize("how", ["imported before", "first in the path"])
def test_another_package_of_the_same_name_is_named(name, how, tmp_path):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    before = f"import {name}; " if how == "imported before" else ""
    code = f"import sys; {before}sys.path.append({str(ROOT)!r}); import main"
    result = python(code, tmp_path)
    assert result.returncode == 1
    *_, line = result.stderr.strip().splitlines()
    assert line.startswith(f"ImportError: `{name}` is the package in {tmp_path / name}, ") and "sys.path.insert" in line


def test_the_project_first_in_the_path_works_where_another_package_is_installed(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").touch()
    result = python(f"import sys; sys.path.insert(0, {str(ROOT)!r}); import main; main.load_model", tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_the_first_steps_train_score_and_draw(small_dsprites, tmp_path):
    cells = json.loads((ROOT / "docs/first_steps.ipynb").read_text(encoding="utf-8"))["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    few = f'"--max-steps=2", "--num-threads=1", "--data-path={small_dsprites}"'
    shorter = {
        '"--max-steps=1200"': few,
        '"--fixed_shape=0", ': "",  # of 120 images, one shape is too few to score
        'project / "logs" / "first_steps"': f"Path({str(tmp_path / 'logs')!r})",
    }
    for old, new in shorter.items():
        assert old in code
        code = code.replace(old, new)
    code = f"import matplotlib\nmatplotlib.use('agg')\n{code}\nprint(run.scores['discrete_mig'], codes.shape)"
    result = python(code, ROOT / "docs")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("torch.Size([120, 10])")
    assert (tmp_path / "logs/version_0/traversals.png").is_file()
