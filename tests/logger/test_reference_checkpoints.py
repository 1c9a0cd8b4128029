"""Checkpoints in the layout that the authors published, and files that would run code if they were let."""

import argparse
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import main
from metrics import Scores
from tests.reference import fill_parameters, parameter_value

REFERENCE = Path(__file__).parents[1] / "data" / "reference" / "lie_group_vae.json"


class Payload:
    """Pickled, it makes a file when it is loaded."""

    def __init__(self, trace: Path):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@pytest.fixture
def authors_run(tmp_path) -> Path:
    """A version directory as the authors' code leaves it: model.pt and args.pt under checkpoints/."""
    reference = json.loads(REFERENCE.read_text())["three_subgroups"]
    config = reference["config"]
    weights = {
        name: torch.from_numpy(parameter_value(name, tuple(shape), config["basis_std"]))
        for name, shape in reference["state_dict_shapes"].items()
    }
    args = argparse.Namespace(
        model="lie_group",
        dataset="dsprites",
        data_path="/data/dsprites",
        latents=sum(config["subspace_sizes_ls"]),
        subgroup_sizes_ls=config["subgroup_sizes_ls"],
        subspace_sizes_ls=str(config["subspace_sizes_ls"]),
        recons_loss_type="bce",
        learning_rate=1e-4,
        log_path="/logs",
        capacity=None,
        metrics=False,
    )
    run = tmp_path / "version_0"
    (run / "checkpoints").mkdir(parents=True)
    torch.save(weights, run / "checkpoints" / "model.pt")
    torch.save(args, run / "checkpoints" / "args.pt")
    return run


@pytest.fixture
def codes(monkeypatch):
    """The mean codes of the first images, in place of scores that take long."""
    found = []

    def score_tables(tables, *_):
        found.append(torch.from_numpy(tables.step_codes[:4]).float())
        return Scores({"fac_eval": 0.5}, {}, {"metrics": ["factor_vae"], "seed": tables.seed, "preset": "full"})

    monkeypatch.setattr("metrics.model_scores.score_tables", score_tables)
    return found


def evaluate(run: Path, data: Path) -> int:
    flags = ["--evaluate=True", f"--log-path={run}", f"--eval_data_path={data}", f"--data-path={data}"]
    return main.main([*flags, "--dataset=dsprites", "--eval_dataset=dsprites", "--visualise=no", "--quiet"])


def test_the_authors_checkpoint_is_scored_without_conversion(authors_run, codes, data):
    from datasets import load_dataset
    from models.lie_vae import LieGroupVAE

    config = json.loads(REFERENCE.read_text())["three_subgroups"]["config"]
    model = LieGroupVAE(1, config["subgroup_sizes_ls"], config["subspace_sizes_ls"])
    fill_parameters(model, config["basis_std"])
    assert evaluate(authors_run, data) == 0
    x = load_dataset("dsprites", data, progress=False).batch(np.arange(4), "cpu")
    torch.testing.assert_close(codes[0], model.encode(x)[0].detach())
    assert "dmetric/fac_eval : 0.5" in (authors_run / "log_metrics.txt").read_text()
    assert json.loads((authors_run / "scores.json").read_text())["scores"] == {"fac_eval": 0.5}


def plain_pickle(content, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("file", ["model.pt", "args.pt"])
@pytest.mark.parametrize(
    ("save", "reason"),
    [
        (torch.save, f"is refused, and nothing in it was run: it asks for {os.name}.mkdir"),
        (plain_pickle, "nothing in it"),
    ],
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_would_run_code_does_not(file, save, reason, authors_run, codes, data, tmp_path, capsys):
    trace = tmp_path / "the payload ran"
    save({"weights": Payload(trace)}, authors_run / "checkpoints" / file)
    assert evaluate(authors_run, data) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert file in line and reason in line
    assert not trace.exists()
    assert codes == []


def test_the_payload_would_have_run(tmp_path):
    torch.save(Payload(tmp_path / "trace"), tmp_path / "file.pt")
    torch.load(tmp_path / "file.pt", weights_only=False)
    assert (tmp_path / "trace").exists()
