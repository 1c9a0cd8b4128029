"""Runs from end to end, on a small replica, through the command line's own entry."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import main
import trainer
from logger.run_directory import RunDirectory
from system.files import load_tensors
from tests.test_main import PUBLISHED_DSPRITES

pytestmark = pytest.mark.usefixtures("cheap_scores")
TINY = [
    "--subgroup_sizes_ls=[9]",
    "--subspace_sizes_ls=[3]",
    "--latents=3",
    "--batch-size=16",
    "--quiet",
    "--num-threads=1",
]


def command(data: Path, log: Path, *more: str) -> list[str]:
    return [*TINY, "--dataset=dsprites", f"--data-path={data}", f"--log-path={log}", *more]


def run(data: Path, log: Path, *more: str) -> None:
    assert main.main(command(data, log, *more)) == 0


def weights(version: Path) -> dict[str, torch.Tensor]:
    return torch.load(version / "checkpoints/model.pt", weights_only=True)


def lines(version: Path) -> list[tuple[str, str]]:
    return [tuple(line.split(" : ")) for line in (version / "log_metrics.txt").read_text().splitlines()]


def tags(version: Path, kind: str) -> set[str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(version))
    accumulator.Reload()
    return set(accumulator.Tags()[kind])


@pytest.fixture(scope="module")
def trained(small_dsprites, tmp_path_factory) -> Path:
    """Two epochs with everything on, split 0.2."""
    log = tmp_path_factory.mktemp("logs")
    run(small_dsprites, log, "--epochs=2", "--split=0.2", "--seed=3", "--metric-preset=fast")
    return log / "version_0"


def test_a_batch_larger_than_the_data_costs_no_more_than_all_images(small_dsprites, tmp_path, monkeypatch):
    counted = []
    monkeypatch.setattr(trainer.speed, "step_flops", lambda *given: counted.append(given[-1]) or 1.0)
    flags = ("--batch-size=1000000", "--max-steps=1", "--split=0.1", "--end-metrics=no", "--visualise=no")
    run(small_dsprites, tmp_path, *flags)
    assert counted == [108]


def test_a_run_leaves_its_log_scores_pictures_and_checkpoint(trained):
    from PIL import Image

    args = json.loads((trained / "args.json").read_text())
    assert args["seed"] == 3
    assert args["data_source"] == "replica"
    tags_logged = [tag for tag, _ in lines(trained)]
    for term in ("loss", "recon", "kl", "hessian", "group_feats_rec", "commutator"):
        assert tags_logged.count(f"metric/{term}") == 2, term  # once an epoch
    scores = json.loads((trained / "scores.json").read_text())
    for name in ("fac_eval", "hig_acc", "discrete_mig", "dci_disentanglement", "SAP_score", "modularity_score"):
        assert f"dmetric/{name}" in tags_logged
        assert np.isfinite(scores["scores"][name])
    assert scores["protocol"]["data_source"] == "replica"
    assert scores["protocol"]["images"] == 120
    with Image.open(trained / "traversals.png") as picture:
        assert picture.width > 17 * 64
    for file in ("algebra.png", "mutual_information.png", "importance.png", "traversals.png"):
        assert (trained / file).stat().st_size > 1000, file
    assert set(weights(trained)) >= {"decoder.lie_alg_basis_ls.0", "encoder.prior_group.0.weight"}


def test_every_score_of_the_log_is_documented(trained):
    document = (Path(main.__file__).parent / "docs/metrics.md").read_text(encoding="utf-8")
    tables = document.partition("## Every score on five codes")[2].partition("\n## ")[0]
    logged = {tag.removeprefix("dmetric/") for tag, _ in lines(trained) if tag.startswith("dmetric/")}
    assert {"reconstruction_error", "symmetry_image_error"} <= logged
    assert not [name for name in logged if f"\n| `{name}` |" not in tables]


def test_scalars_csv_holds_every_number_of_tensorboard_with_its_epoch(trained):
    from logger import board, read_run
    from logger.reading import _event_rows

    drawn = {(tag, step): value for tag, step, value in _event_rows(trained) if not tag.startswith("5 ")}
    read = {(board.shown(row.tag)[0], row.step): row.value for row in read_run(trained).scalars.itertuples()}
    assert read == pytest.approx(drawn, rel=1e-6)
    table = pandas.read_csv(trained / "scalars.csv")
    assert list(table.columns) == ["step", "epoch", "images", "tag", "value"]
    validated = table[table.tag == "validation/loss"]
    assert validated[["step", "epoch", "images"]].to_numpy().tolist() == [[6, 1, 96], [12, 2, 192]]


def test_tensorboard_holds_the_losses_kl_scores_pictures_and_arguments(trained):
    scalars = tags(trained, "scalars")
    assert {"1 losses/loss, train", "1 losses/recon, validation", "6 kl per latent/02, validation"} <= scalars
    assert "2 scores/FactorVAE score" in scalars
    assert any("traversals" in tag for tag in tags(trained, "images"))
    assert any("reconstructions" in tag for tag in tags(trained, "images"))
    assert any("arguments" in tag for tag in tags(trained, "tensors"))


@pytest.mark.parametrize("split", ["0", "0.25"])
def test_same_seed_gives_the_same_bits_and_validation(small_dsprites, tmp_path, split):
    options = ("--max-steps=3", "--seed=5", "--end-metrics=no", "--visualise=no", f"--split={split}")
    torch.manual_seed(1)  # whatever ran before must not matter
    run(small_dsprites, tmp_path / "a", *options)
    torch.rand(7)
    run(small_dsprites, tmp_path / "b", *options)
    a, b = weights(tmp_path / "a/version_0"), weights(tmp_path / "b/version_0")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert lines(tmp_path / "a/version_0") == lines(tmp_path / "b/version_0")


@pytest.fixture(scope="module")
def unseeded(small_dsprites, tmp_path_factory) -> tuple[Path, str]:
    """The log folder of two runs without a seed and without pictures, and what they printed."""
    log, said = tmp_path_factory.mktemp("unseeded"), io.StringIO()
    with contextlib.redirect_stdout(said):
        for _ in range(2):
            run(small_dsprites, log, "--max-steps=1", "--end-metrics=no", "--visualise=False")
    return log, said.getvalue()


def test_without_a_seed_two_runs_differ_and_record_theirs(unseeded):
    log, _ = unseeded
    seeds = [json.loads((log / f"version_{n}/args.json").read_text())["seed"] for n in (0, 1)]
    assert seeds[0] != seeds[1]
    first, second = (weights(log / f"version_{n}")["encoder.prior_group.0.weight"] for n in (0, 1))
    assert not torch.equal(first, second)


def test_training_without_network_or_real_file_says_replica(unseeded):
    assert "(replica)" in unseeded[1]


def test_visualise_false_draws_nothing(unseeded):
    version = unseeded[0] / "version_0"
    assert not [*version.rglob("*.png")]
    assert not tags(version, "images")


def test_evaluation_repeats_the_scores_of_the_run(trained, small_dsprites, capsys):
    before = json.loads((trained / "scores.json").read_text())["scores"]
    argv = ["--evaluate=True", f"--log-path={trained}", f"--eval_data_path={small_dsprites}", "--eval_dataset=dsprites"]
    assert main.main([*argv, "--metric-preset=fast", "--visualise=no", "--quiet", "--num-threads=1"]) == 0
    assert "unfinished" not in capsys.readouterr().out
    after = json.loads((trained / "scores.json").read_text())["scores"]
    assert after.keys() == before.keys()
    for name, value in before.items():
        assert after[name] == pytest.approx(value, abs=1e-6), name
    assert [tag for tag, _ in lines(trained)].count("dmetric/fac_eval") == 2


def test_base_model_path_starts_from_the_other_run(trained, small_dsprites, tmp_path, capsys):
    run(
        small_dsprites,
        tmp_path,
        f"--base-model-path={trained}",
        "--max-steps=0",
        "--base-model=lie_group",
        "--end-metrics=no",
        "--visualise=no",
    )
    theirs, ours = weights(trained), weights(tmp_path / "version_0")
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)
    assert "taken" in capsys.readouterr().out


SILENT = ("--seed=1", "--end-metrics=no", "--visualise=no", "--metric-preset=fast", "--model=vae")


def test_a_repeated_command_numbers_the_steps_once(small_dsprites, tmp_path, monkeypatch):
    def last_step(*more: str) -> int:
        run(small_dsprites, tmp_path, *SILENT, *more)
        RunDirectory(tmp_path / "version_0").write_status("interrupted")
        return load_tensors(tmp_path / "version_0/checkpoints/training.pt")["progress"]["step"]

    assert last_step("--global-step=7", "--resume=auto", "--max-steps=2") == 9
    assert last_step("--global-step=7", "--resume=auto", "--max-steps=3") == 10
    assert last_step("--global-step=20", "--load-model", "--max-steps=4") == 21
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")  # torchrun repeats the command after a crash
    assert last_step("--global-step=20", "--load-model", "--max-steps=5") == 22


def test_an_epoch_takes_every_training_image_once_in_an_order_of_its_own(small_dsprites, tmp_path, monkeypatch):
    taken, drawn, held_out = [], [], []
    batches, train_step, validate = trainer.Position.batches, trainer.train_step, trainer.validate

    def noted(at: trainer.Position, *rest):
        assert at.n == 90
        for index in batches(at, *rest):
            taken.append((at.epoch, index.tolist()))
            yield index

    def noted_noise(model, optimisers, x, noise, *rest):
        assert model.training_images == 90
        drawn.extend(value.sum().item() for value in noise.values())
        return train_step(model, optimisers, x, noise, *rest)

    def noted_validation(model, dataset, index, *rest):
        held_out.append(index.tolist())
        return validate(model, dataset, index, *rest)

    monkeypatch.setattr(trainer.Position, "batches", noted)
    monkeypatch.setattr(trainer, "validate", noted_validation)
    monkeypatch.setattr(trainer, "train_step", noted_noise)
    run(small_dsprites, tmp_path, *SILENT, "--epochs=2", "--split=0.25")
    assert [len(index) for _, index in taken] == [16, 16, 16, 16, 16, 10] * 2
    first, second = ([i for epoch, index in taken if epoch == e for i in index] for e in (0, 1))
    assert sorted(first) == sorted(second) and len(set(first)) == 90
    assert first != second and first != sorted(first)
    assert held_out[0] == held_out[1] and sorted(first + held_out[0]) == list(range(120))
    assert len(set(drawn)) == len(drawn) >= 12  # no noise comes twice
    taken.clear()
    run(small_dsprites, tmp_path, *SILENT, "--max-steps=2", "--split=0.25", "--shuffle=no")
    assert [i for _, index in taken for i in index] == sorted(first)[:32]
    run(small_dsprites, tmp_path, *SILENT, "--max-steps=1", "--split=0.25", "--seed=2")
    assert held_out[-1] != held_out[0]  # the seed chooses what is held out


def test_an_error_is_no_part_of_the_line_of_the_bar(small_dsprites, tmp_path, capsys):
    loud = [word for word in command(small_dsprites, tmp_path, *SILENT, "-lr=1e30") if word != "--quiet"]
    assert main.main([*loud, "--max-steps=3"]) == 2
    *_, bar, error = capsys.readouterr().err.splitlines()
    assert "images/s" in bar and error.startswith("error: ")


def test_scores_that_are_older_than_the_end_of_the_run_are_named(small_dsprites, tmp_path, capsys):
    run(small_dsprites, tmp_path, *SILENT, "--max-steps=1")
    (tmp_path / "version_0/scores.json").write_text(json.dumps({"scores": {}, "protocol": {"step": 1}}))
    run(small_dsprites, tmp_path, *SILENT, "--max-steps=2", "--load-model")
    assert "the scores in this run are those of step 1" in capsys.readouterr().out


def test_a_training_of_hours_is_told_at_its_start(small_dsprites, tmp_path, capsys):
    run(small_dsprites, tmp_path, *SILENT, "--max-steps=2")
    assert "hours here" not in capsys.readouterr().out
    patience = main.main(command(small_dsprites, tmp_path, *SILENT, "--epochs=1000000", "-lr=1e30"))
    assert patience == 2 and "hours here: --max-steps or --epochs make it shorter" in capsys.readouterr().out


@pytest.mark.slow
def test_published_commands_run_unchanged_but_for_paths_and_length(small_dsprites, tmp_path):
    argv = [word.replace("=data", f"={small_dsprites}") for word in PUBLISHED_DSPRITES]
    argv = [word.replace("--log-path=logs", f"--log-path={tmp_path}") for word in argv]
    short = ["--max-steps=2", "--metric-preset=fast", "--quiet", "--num-threads=1"]
    assert main.main([*argv, *short]) == 0
    evaluation = [word.replace(f"--log-path={tmp_path}", f"--log-path={tmp_path}/version_0") for word in argv]
    assert main.main([*evaluation, "--evaluate=True", *short]) == 0
    assert [tag for tag, _ in lines(tmp_path / "version_0")].count("dmetric/discrete_mig") == 2
