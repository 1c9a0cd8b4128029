"""Runs on images of one's own, with and without factors, through the command line."""

import contextlib
import io
import json

import numpy as np
import pytest
from PIL import Image

import main
from logger.report import write_report
from metrics import evaluate, score_model
from metrics.cli import main as metrics_main

TINY = ["--model=beta_shapes", "--latents=3", "--batch-size=16"]
TINY += ["--quiet", "--num-threads=1", "--max-steps=2", "--metric-preset=fast"]
LIE_GROUP = ["--model=lie_group", "--subgroup_sizes_ls=[9]", "--subspace_sizes_ls=[3]"]
SIZES = (3, 4, 4)
pytestmark = pytest.mark.usefixtures("cheap_scores", "cheap_pictures", "narrow_networks")


def images():
    """A grey square of three sizes at sixteen places: uint8 `[48, 64, 64]`."""
    drawn = np.zeros((*SIZES, 64, 64), np.uint8)
    for size, x, y in np.ndindex(SIZES):
        drawn[size, x, y, 12 * x + 4 : 12 * x + 12 + 4 * size, 12 * y + 4 : 12 * y + 12 + 4 * size] = 200
    return drawn.reshape(-1, 64, 64)


FACTORS = np.stack(np.unravel_index(np.arange(48), SIZES), axis=1)  # [48, 3]


def train(dataset, path, log, *more):
    assert main.main([*TINY, f"--dataset={dataset}", f"--data-path={path}", f"--log-path={log}", *more]) == 0
    return log / "version_0"


def scores(run):
    return json.loads((run / "scores.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(images()):
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def without_factors(folder, tmp_path_factory):
    """A run with pictures, and what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        run = train("images", folder, tmp_path_factory.mktemp("1"), "--seed=1", *LIE_GROUP)
    return run, said.getvalue()


def test_without_factors_a_run_trains_draws_and_takes_the_scores_that_need_none(without_factors):
    run, printed = without_factors
    found = scores(run)
    assert set(found["scores"]) == {
        "gaussian_total_correlation",
        "gaussian_wasserstein_correlation",
        "gaussian_wasserstein_correlation_norm",
        "mutual_info_score",
        "reconstruction_error",
    }
    assert set(found["protocol"]["metrics"]) == {"unsupervised", "reconstruction"}
    said = [line for line in printed.splitlines() if line.startswith("note:")]
    assert len(said) == 1
    assert said[0].startswith("note: images: it has no factors, so these are not scored: ")
    assert {"factor_vae", "mig", "dci", "irs"} <= set(said[0].partition("scored: ")[2].split(", "))
    drawn = {path.name for path in run.glob("*.png")}
    assert {"traversals.png", "reconstructions.png", "algebra.png", "composition.png"} <= drawn
    assert not {"factor_paths.png", "equivariance_error.png", "importance.png"} & drawn
    page, left_out = write_report([run])
    assert left_out == []
    assert "Traversals around an image" in page.read_text() and "Factors in latent space" not in page.read_text()


def test_a_run_is_not_continued_after_pictures_were_added(tmp_path, capsys):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number, pixels in enumerate(images()[:20]):
        Image.fromarray(pixels).save(pictures / f"{number:03d}.png")
    options = ("--seed=1", "--end-metrics=no", "--visualise=no")
    run = train("images", pictures, tmp_path / "log", *options)
    before = (run / "checkpoints" / "training.pt").read_bytes()
    Image.fromarray(images()[20]).save(pictures / "020.png")
    again = [*TINY, "--dataset=images", f"--data-path={pictures}", f"--log-path={run.parent}", *options]
    assert main.main([*again, "--max-steps=8", "--load-model"]) == 2
    assert "there are 19 images to train on now" in capsys.readouterr().err
    assert (run / "checkpoints" / "training.pt").read_bytes() == before
    (pictures / "020.png").unlink()
    assert main.main([*again, "--max-steps=8", "--load-model"]) == 0


def test_seeds_are_compared_by_the_codes_that_runs_leave(without_factors, folder, tmp_path):
    runs = [without_factors[0], train("images", folder, tmp_path / "2", "--seed=2", "--visualise=no")]
    files = [run / "codes.npz" for run in runs]
    first, second = (np.load(file) for file in files)
    assert first["codes"].shape == (48, 3) and "factors" not in first
    assert (first["index"] == second["index"]).all()
    assert metrics_main([*map(str, files), "--metrics", "udr", "--json", str(tmp_path / "udr.json")]) == 0
    assert 0 <= json.loads((tmp_path / "udr.json").read_text())["scores"]["UDR"] <= 1


def test_a_grid_in_any_order_takes_every_score(tmp_path, capsys):
    order = np.random.default_rng(0).permutation(48)
    np.savez(tmp_path / "a.npz", images=images()[order], factors=FACTORS[order] * 5, factor_names=["size", "x", "y"])
    run = train("arrays", tmp_path / "a.npz", tmp_path / "logs", "--seed=1")
    assert {"fac_eval", "discrete_mig", "dci_disentanglement", "downstream_rep"} <= set(scores(run)["scores"])
    assert "note:" not in capsys.readouterr().out
    assert (run / "factor_paths.png").exists()
    kept = np.load(run / "codes.npz")
    assert (kept["factors"] == FACTORS).all()


def test_a_table_takes_the_scores_that_its_rows_allow(tmp_path, capsys):
    names = ["size", "x", "y"]
    np.savez(tmp_path / "a.npz", images=images()[:-1], factors=FACTORS[:-1], factor_names=names)
    run = train("arrays", tmp_path / "a.npz", tmp_path / "logs", "--seed=1", "--visualise=no")
    taken = set(scores(run)["scores"])
    assert {"fac_eval", "discrete_mig", "dci_disentanglement", "reconstruction_error"} <= taken
    assert not {"downstream_rep", "independence_score"} & taken
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note:")]
    assert len(said) == 1 and said[0].startswith(
        "note: arrays: its factors are not a full grid, so these are not scored:"
    )


def test_a_table_is_scored_as_its_rows_are():
    """An encoder on a data set without a grid gives what its codes and factors give as tables."""
    from datasets import FactorDataset

    pixels = np.broadcast_to(FACTORS[:-1].astype(np.uint8)[:, :, None, None], (47, 3, 1, 1))
    dataset = FactorDataset("table", "here", ["a", "b", "c"], SIZES, pixels, factors=FACTORS[:-1])

    def encoder(x):
        return x.flatten(1)

    names = ["mig", "sap", "modularity", "explicitness", "factor_vae"]
    codes = FACTORS[:-1].astype(np.float32) / 255
    expected = evaluate(codes, FACTORS[:-1], names, preset="fast")
    found = score_model(encoder, None, dataset, names, preset="fast").values
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_score_that_needs_factors_is_refused_by_name():
    from datasets import FactorDataset
    from metrics import InputError

    nothing = np.zeros((48, 0), np.int64)
    dataset = FactorDataset("plain", "here", [], [], images()[..., None], factors=nothing)
    with pytest.raises(InputError, match="metric 'mig' needs factors, and there are none"):
        score_model(lambda x: x.flatten(1)[:, :3], None, dataset, ["mig"])


def test_factors_that_cannot_be_scored_are_refused_before_the_training_unless_it_is_not_scored(tmp_path, capsys):
    alone = np.maximum(np.arange(48) - 40, 0)  # 0, and seven values that occur once
    np.savez(tmp_path / "a.npz", images=images(), factors=alone, factor_names=["object"])
    flags = [*TINY, "--dataset=arrays", f"--data-path={tmp_path / 'a.npz'}", f"--log-path={tmp_path / 'logs'}"]
    assert main.main(flags) == 2
    assert "object is continuous" in capsys.readouterr().err
    assert not list((tmp_path / "logs").glob("*/checkpoints/*"))
    assert main.main([*flags, "--end-metrics=no"]) == 0
