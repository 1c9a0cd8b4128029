"""The study: its plan, what it takes from a run, and that its tables are what the records give."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import main
import models
import study.__main__ as command_line
from logger.score_guide import RERUN, published
from models.lie_vae import LieGroupVAE
from study import analysis, plan, records, report
from system.errors import UserError
from system.files import write_tensors
from tests.test_main import PUBLISHED_DSPRITES

STUDY = Path(plan.__file__).parent
TINY = plan.Configuration(
    "tiny",
    "short",
    {"dataset": "dsprites", "epochs": 2, "batch_size": 60, "subgroup_sizes_ls": [9], "subspace_sizes_ls": [3]}
    | {"latents": 3, "split": 0.0},
    (0,),
    checkpoint=True,
)


def recorded(configuration: plan.Configuration, seed: int) -> dict:
    """What args.json holds of a run that was started as the plan says."""
    return vars(main.build_parser().parse_args(configuration.command(seed)))


def test_the_tables_are_what_the_records_give():
    assert report.text(STUDY) == (STUDY / "results.md").read_text(encoding="utf-8")
    made = report.runs(STUDY).to_csv(index=False, lineterminator="\n")
    assert made == (STUDY / "runs.csv").read_text(encoding="utf-8")


def test_the_page_fits_a_few_screens_and_names_what_is_in_the_plan():
    page = (STUDY / "README.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) <= 120
    for name in re.findall(r"`((?:short|small)_\w+)`", page):
        assert plan.by_name(name)


def test_every_record_belongs_to_its_place_in_the_plan():
    known = {folder for *_, folder in records.records(STUDY)}
    assert known == {file.parent for file in STUDY.glob("runs/*/*/status.json")}
    for configuration, seed, folder in records.records(STUDY):
        args = json.loads((folder / "args.json").read_text())
        assert plan.of_run({**args, "log_path": str(folder)}) is configuration and args["seed"] == seed
        assert len(pandas.read_csv(folder / "curve.csv")) == records.status(folder)["epochs"]
        assert not args.keys() & set(records.PLACES)
        assert all(session["started"] <= session["stopped"] for session in records.status(folder)["sessions"])


@pytest.mark.parametrize("configuration", plan.CONFIGURATIONS, ids=lambda c: c.name)
def test_a_configuration_is_a_command_and_is_found_again_by_what_it_records(configuration):
    args = main.build_parser().parse_args([*configuration.command(3), f"--log-path=logs/study/{configuration.name}"])
    assert plan.of_run(vars(args)) is configuration
    models.check_args(args)
    assert configuration.epochs % args.keep_epochs == 0
    assert configuration.group in plan.GROUPS
    assert {*configuration.paper, *configuration.rerun} <= plan.SCORES.keys()
    if configuration.also:
        longer = plan.by_name(configuration.also)
        assert longer.epochs > configuration.epochs and not set(longer.seeds) & set(configuration.seeds)
        assert {**longer.flags, "epochs": configuration.epochs} == configuration.flags


def test_every_configuration_can_be_selected_alone():
    for configuration in plan.CONFIGURATIONS:
        assert {c.name for c, _ in plan.jobs([configuration.name])} == {configuration.name}


def test_the_first_row_is_the_published_command():
    published = vars(main.build_parser().parse_args(PUBLISHED_DSPRITES))
    ours = recorded(plan.by_name("dsprites"), 0)
    assert {name for name in published if published[name] != ours[name]} == {
        *("data_path", "eval_data_path", "eval_dataset", "precision", "seed"),
        *("metrics", "metric_preset", "keep_epochs", "visualise"),
    }


def test_the_re_runs_scores_are_those_that_reports_show():
    for c in plan.CONFIGURATIONS:
        shown = published(c.flags["dataset"], c.flags["model"]).get(RERUN, {})
        for name, values in c.rerun.items():
            score = shown[plan.SCORES[name]]
            assert values == pytest.approx([100 * score.mean, 100 * score.deviation]), c.name


def test_a_run_of_another_plan_is_named_with_what_differs():
    args = {**recorded(plan.by_name("hes_20"), 0), "learning_rate": 0.5}
    with pytest.raises(UserError, match=r"nearest is hes_20, which differs in learning_rate"):
        plan.of_run(args)
    with pytest.raises(UserError, match="--only hes_21 is not in the plan"):
        list(plan.jobs(["hes_21"]))


def write_record(folder: Path, name: str, seed: int, factor_vae: list[float], full: float | None = None) -> None:
    """A record of so many epochs; the other scores are 0.5."""
    configuration = plan.by_name(name)
    run = folder / "runs" / name / f"seed_{seed}"
    run.mkdir(parents=True)
    state = {"state": "interrupted", "epochs": len(factor_vae), "budget": configuration.epochs}
    session = {
        "started": "2026-01-01T00:00:00Z",
        "stopped": "2026-01-01T01:30:00Z",
        "device": "P",
        "processor": "Q",
        "precision": "bf16",
    }
    if len(factor_vae) == configuration.epochs:
        state["state"] = "finished"
    (run / "status.json").write_text(json.dumps({**state, "sessions": [{**session, "revision": "0123456789-dirty"}]}))
    args = {**recorded(configuration, seed), "data_source": "replica"}
    (run / "args.json").write_text(json.dumps(args))
    tags = ["metric/recon", *(f"dmetric/{score}" for score in plan.SCORES.values())]
    if not factor_vae:
        tags = list(records.read_curve(run / "log_metrics.txt"))[1:]
    with open(run / "curve.csv", "w", newline="") as file:
        rows = [[epoch, 9.0, value, *[0.5] * 5] for epoch, value in enumerate(factor_vae, 1)]
        csv.writer(file).writerows([["epoch", *tags], *rows])
    if full is not None:
        scores = {**dict.fromkeys(plan.SCORES.values(), 0.5), "fac_eval": full}
        (run / f"scores_epoch_{configuration.epochs}.json").write_text(json.dumps({"scores": scores}))


def test_tables_have_mean_deviation_interval_and_paired_differences(tmp_path):
    for seed, value in enumerate((0.6, 0.7, 0.8)):
        write_record(tmp_path, "vae", seed, [0.1] * 6 + [value])
        write_record(tmp_path, "bottleneck_vae", seed + 1, [0.1] * 6 + [value])
    write_record(tmp_path, "hes_0", 0, [0.1] * 6)
    write_record(tmp_path, "dsprites", 0, [0.1] * 6 + [0.9, 0.2])
    page = report.text(tmp_path)
    # t(0.975, 2) = 4.303: 4.303 * 10 / sqrt(3) = 24.8; of the pairs (60 - 70, 70 - 80) every one is -10
    assert "| `vae` | 3 | 70.0 ± 10.0 [45.2, 94.8] | 50.0 ± 0.0 [50.0, 50.0] |" in page
    assert "| `bottleneck_vae` - `vae` | 2 | -10.0 ± 0.0 |" in page  # no interval of two
    assert "| `hes_40` | 1 | 90.0 |" in page  # the longer run, as it stood after 7 epochs
    assert "| `hes_0` | 0 | 6 of 7 | 10.0 |" in page and "| `dsprites` | 0 | 8 of 70 | 20.0 |" in page
    for head in re.findall(r"^\| (?:configuration|run) \|.*$", page, re.MULTILINE):
        assert head.endswith("| data | device | precision |")
    found = report.runs(tmp_path).set_index(["configuration", "seed"]).loc[("vae", 2)]
    assert (found.device, found.precision, found.revision, found.hours) == ("P", "bf16", "0123456", "1.50")
    assert (found.fast_fac_eval, found.full_fac_eval) == ("0.8000", "")


def test_one_seed_without_full_scores_changes_no_other_table(tmp_path):
    write_record(tmp_path, "hes_20", 0, [0.1] * 7, full=0.3)
    write_record(tmp_path, "commute_40", 0, [0.2] * 7)
    full, fast = report.text(tmp_path).split("Scores, `full` protocol")[1].split("Scores, `fast` protocol")
    assert "| `hes_20` | 1 | 30.0 |" in full and "commute_40" not in full and "| paper |" in full
    assert "| `hes_20` | 1 | 10.0 |" in fast and "| `commute_40` | 1 | 20.0 |" in fast and "| paper |" not in fast


def test_p_values_are_corrected_for_all_named_comparisons():
    assert report.holm([0.01, None, 0.04, 0.03]) == [0.04, None, pytest.approx(0.09), pytest.approx(0.09)]
    assert report.holm([0.9, 0.8]) == [1, 1]


def test_a_session_that_is_still_running_counts_no_hours(tmp_path):
    write_record(tmp_path, "vae", 0, [0.1] * 3)
    file = tmp_path / "runs" / "vae" / "seed_0" / "status.json"
    state = json.loads(file.read_text())
    state["sessions"].append({"started": "2026-01-02T00:00:00Z"})
    file.write_text(json.dumps(state))
    assert records.hours(file.parent) == 1.5


def test_the_median_seed_is_the_lower_one_of_two_among_the_runs_with_the_most_epochs(tmp_path):
    assert records.median_seed(tmp_path, "vae") is None
    for seed, score in enumerate((0.3, 0.1, 0.4, 0.2)):
        write_record(tmp_path, "vae", seed, [0.9, score])
    write_record(tmp_path, "vae", 7, [0.15])
    write_record(tmp_path, "vae", 8, [])
    assert records.median_seed(tmp_path, "vae") == 3
    write_record(tmp_path, "vae", 9, [0.9, 0.25])
    assert records.median_seed(tmp_path, "vae") == 9


def test_a_curve_has_the_first_scores_of_every_epoch_that_was_scored(tmp_path):
    log = tmp_path / "log_metrics.txt"
    assert len(records.read_curve(log)) == 0
    epochs = [(3.0, [0.1]), (2.0, [0.2, 0.9]), (1.0, [])]  # scored again later; not scored yet
    with open(log, "w") as file:
        for loss, scores in epochs:
            file.write(f"metric/loss : {loss}\nmetric/kl : 5.0\n")
            file.writelines(f"{records.SCORE} : {score}\n" for score in scores)
        file.write("metric/loss : 0.5\nmetric/k")  # the disk was full
    curve = records.read_curve(log)
    assert curve[["epoch", "metric/loss", records.SCORE]].values.tolist() == [[1, 3.0, 0.1], [2, 2.0, 0.2]]


def test_missing_runs_are_commands_that_the_trainer_takes(tmp_path):
    every = command_line.missing(tmp_path, ["short_vae"])
    assert len(every) == 10  # five runs, and their full scores
    write_record(tmp_path, "short_vae", 0, [0.1, 0.2])
    write_record(tmp_path, "short_vae", 1, [0.1, 0.2], full=0.3)
    left = command_line.missing(tmp_path, ["short_vae"], ["--device=cpu"])
    assert len(left) == 7 and sum("--evaluate" in line for line in left) == 4
    for line in left:
        program, script, *flags = shlex.split(line)
        args = main.build_parser().parse_args(flags)
        assert (program, script, args.num_threads, args.device) == ("python", "main.py", 1, "cpu")
        if not args.evaluate:
            assert plan.of_run(vars(args)) is plan.by_name("short_vae") and args.resume == "once"


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(plan, "CONFIGURATIONS", [*plan.CONFIGURATIONS, TINY])
    return TINY


def train(data: Path, log_path: Path, *more: str) -> Path:
    how = ["--quiet", "--num-threads=1", f"--data-path={data}", f"--log-path={log_path}"]
    assert main.main([*TINY.command(0), *how, *more]) == 0
    return log_path / "version_0"


@pytest.mark.slow
def test_a_run_is_taken_in_with_its_analysis_and_weights(tiny, small_dsprites, tmp_path, capsys):
    how = ["--quiet", "--num-threads=1", f"--data-path={small_dsprites}", f"--log-path={tmp_path / 'logs'}"]
    assert main.main([*TINY.command(0), *how]) == 0
    into = tmp_path / "study"
    assert command_line.main(["--collect", str(tmp_path / "logs"), f"--into={into}"]) == 0
    folder = into / "runs" / "tiny" / "seed_0"
    assert records.status(folder)["state"] == "finished"
    found = json.loads((folder / "analysis.json").read_text())
    assert found["basis"]["size"] == 3 and set(found["chance"]) == {"mig_gain_shuffled", "mig_gain_noise"}
    weights = into / "checkpoints" / "tiny"
    scored = json.loads((weights / "scores.json").read_text())["scores"]
    again = ["--evaluate", f"--log-path={weights}", f"--data-path={small_dsprites}", "--metric-preset=fast", "--quiet"]
    assert main.main([*again, "--visualise=no", "--num-threads=1"]) == 0
    assert json.loads((weights / "scores.json").read_text())["scores"] == pytest.approx(scored, abs=1e-6)
    assert {path.name for path in (into / "figures").iterdir()} == {"ablation.png", "hessian.png", "published.png"}
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(json.dumps({**status, "epochs": 3}))
    assert command_line.main(["--collect", str(tmp_path / "logs"), f"--into={into}"]) == 0
    assert "has 3 already: it stays as it is" in capsys.readouterr().out


def test_what_was_written_into_a_record_by_hand_stays(tiny, tmp_path):
    run = tmp_path / "version_0"
    run.mkdir()
    (run / "args.json").write_text(json.dumps(recorded(TINY, 0)))
    session = {"started": "2026-01-01T00:00:00Z", "stopped": "2026-01-01T01:00:00Z"}  # no revision was recorded
    (run / "status.json").write_text(json.dumps({"state": "running", "sessions": [session]}))
    file = records.collect(run, tmp_path) / "status.json"
    status = json.loads(file.read_text())
    status["sessions"][0]["revision"] = "abc"
    file.write_text(json.dumps(status))
    records.collect(run, tmp_path)
    assert json.loads(file.read_text())["sessions"][0]["revision"] == "abc"


def test_the_basis_is_measured_from_the_weights(tmp_path):
    model = LieGroupVAE(1, [9], [2])
    rotation = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 0]])
    other = torch.diag(torch.tensor([0.0, 0, 2]))  # acts on another axis
    codes = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    for second, product in ((other, 0), (rotation, 2**-0.5)):
        for parameter, matrix in zip(model.decoder.lie_alg_basis_ls, (rotation, second), strict=True):
            parameter.data[0] = matrix
        write_tensors(model.reference_state_dict(), tmp_path / "model.pt")
        found = analysis.basis(tmp_path / "model.pt", codes)
        assert found["size"] == 3 and found["commutator"] == 0 and found["decomposition"] < 1e-5
        assert found["product"] == pytest.approx(product)
