"""The study: its plan, its runner, what it takes from a run, and that its page is what the records give."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pandas
import pytest
import torch

import main
import study.__main__ as command_line
from logger.run_directory import RunDirectory
from logger.score_guide import RERUN, published
from models import model_class
from study import harvest, plan, report
from study.runner import Runner, missing
from system.errors import UserError
from tests.test_main import PUBLISHED_DSPRITES

STUDY = Path(plan.__file__).parent
TINY = plan.Configuration(
    "tiny",
    "few_images",
    {"dataset": "dsprites", "epochs": 2, "batch_size": 60, "subgroup_sizes_ls": [9], "subspace_sizes_ls": [3]}
    | {"latents": 3, "split": 0.0},
    (0,),
    checkpoint=True,
)


def recorded(configuration: plan.Configuration, seed: int) -> dict:
    """What args.json holds of a run that was started as the plan says."""
    return vars(main.build_parser().parse_args(configuration.command(seed)))


def test_the_page_is_what_the_records_give():
    assert report.text(STUDY) == (STUDY / "README.md").read_text(encoding="utf-8")


def test_every_record_belongs_to_its_place_in_the_plan():
    for configuration, seed, folder in report.records(STUDY):
        args = json.loads((folder / "args.json").read_text())
        assert plan.of_run({**args, "log_path": str(folder)}) is configuration and args["seed"] == seed
        assert len(pandas.read_csv(folder / "curve.csv")) == harvest.status(folder)["epochs"]
        assert not args.keys() & set(harvest.PLACES)
        assert all(session["started"] <= session["stopped"] for session in harvest.status(folder)["sessions"])


@pytest.mark.parametrize("configuration", plan.CONFIGURATIONS, ids=lambda c: c.name)
def test_a_configuration_is_a_command_and_is_found_again_by_what_it_records(configuration):
    args = main.build_parser().parse_args([*configuration.command(3), f"--log-path=logs/study/{configuration.name}"])
    assert plan.of_run(vars(args)) is configuration
    model_class(args.model).check_args(args)
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
        "processor": "P",
        "precision": "bf16",
    }
    if len(factor_vae) == configuration.epochs:
        state["state"] = "finished"
    (run / "status.json").write_text(json.dumps({**state, "sessions": [{**session, "revision": "0123456789-dirty"}]}))
    args = {**recorded(configuration, seed), "data_source": "replica"}
    (run / "args.json").write_text(json.dumps(args))
    tags = ["metric/recon", *(f"dmetric/{score}" for score in plan.SCORES.values())]
    if not factor_vae:
        tags = list(harvest.read_curve(run / "log_metrics.txt"))[1:]
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
    assert "| `vae` | this code | 3 | 70.0 ± 10.0 [45.2, 94.8] | 50.0 ± 0.0 [50.0, 50.0] |" in page
    assert "| `bottleneck_vae` - `vae` | fast | 2 | -10.0 ± 0.0 [-10.0, -10.0] |" in page
    assert "| `hes_40` | this code | 1 | 90.0 |" in page  # the longer run, as it stood after 7 epochs
    assert "| `hes_0` | this code | 0 | - |" in page and "| `hes_0` | 0 | 6 of 7 | 10.0 |" in page
    assert "| `dsprites` | 0 | 8 of 70 | 20.0 |" in page
    assert "| `vae` | 2 | 7 of 7 | bf16 | replica | P | ? | `0123456-dirty` | 1.5 |" in page
    assert "Not started, by seeds: `dsprites` 1;" in page and "`vae` 3, 4;" in page
    measured, planned = page.split("## Not measured yet")
    assert "(`shapes3d`)" in planned and "| `shapes3d` | paper | 10 | 93.2 ± 4.0 |" in planned
    assert "shapes3d" not in measured and "| `size_25` |" not in page  # neither measured nor published


def test_full_scores_stand_in_a_table_once_every_run_in_it_has_them(tmp_path):
    write_record(tmp_path, "hes_20", 0, [0.1] * 7, full=0.3)
    assert "| `hes_20` | this code | 1 | 30.0 |" in report.text(tmp_path)
    write_record(tmp_path, "commute_40", 0, [0.2] * 7)
    assert "| `hes_20` | this code | 1 | 10.0 |" in report.text(tmp_path)


def test_the_full_scores_of_kept_weights_stand_with_a_run_in_progress(tmp_path):
    write_record(tmp_path, "dsprites", 0, [0.1] * 8, full=0.3)
    run = tmp_path / "runs" / "dsprites" / "seed_0"
    (run / "scores_epoch_70.json").rename(run / "scores_epoch_7.json")
    assert "| `dsprites` | 0 | 7 | 30.0 | 50.0 |" in report.text(tmp_path)


def test_a_session_that_is_still_running_counts_no_hours(tmp_path):
    write_record(tmp_path, "vae", 0, [0.1] * 3)
    file = tmp_path / "runs" / "vae" / "seed_0" / "status.json"
    state = json.loads(file.read_text())
    state["sessions"].append({"started": "2026-01-02T00:00:00Z"})
    file.write_text(json.dumps(state))
    assert report.hours(file.parent) == 1.5
    assert "after 1.5 hours (wall time" in report.text(tmp_path)


def test_a_record_whose_writing_was_cut_off_is_passed_over(tmp_path):
    write_record(tmp_path, "vae", 0, [0.1])
    write_record(tmp_path, "vae", 1, [0.1])
    (tmp_path / "runs/vae/seed_1/status.json").unlink()  # written last
    assert [seed for seed, _ in harvest.record_folders(tmp_path, "vae")] == [0]
    assert "0 of " in report.text(tmp_path)


def test_the_median_seed_is_the_lower_one_of_two_among_the_runs_with_the_most_epochs(tmp_path):
    assert harvest.median_seed(tmp_path, "vae") is None
    for seed, score in enumerate((0.3, 0.1, 0.4, 0.2)):
        write_record(tmp_path, "vae", seed, [0.9, score])
    write_record(tmp_path, "vae", 7, [0.15])
    write_record(tmp_path, "vae", 8, [])
    assert harvest.median_seed(tmp_path, "vae") == 3
    write_record(tmp_path, "vae", 9, [0.9, 0.25])
    assert harvest.median_seed(tmp_path, "vae") == 9


def test_a_curve_has_the_first_scores_of_every_epoch_that_was_scored(tmp_path):
    log = tmp_path / "log_metrics.txt"
    assert len(harvest.read_curve(log)) == 0
    epochs = [(3.0, [0.1]), (2.0, [0.2, 0.9]), (1.0, [])]  # scored again later; not scored yet
    with open(log, "w") as file:
        for loss, scores in epochs:
            file.write(f"metric/loss : {loss}\nmetric/kl : 5.0\n")
            file.writelines(f"{harvest.SCORE} : {score}\n" for score in scores)
        file.write("metric/loss : 0.5\nmetric/k")  # the disk was full
    curve = harvest.read_curve(log)
    assert curve[["epoch", "metric/loss", harvest.SCORE]].values.tolist() == [[1, 3.0, 0.1], [2, 2.0, 0.2]]


def test_figures_are_drawn_for_what_there_is(tmp_path):
    for seed in range(6):
        write_record(tmp_path, "vae", seed, [0.1 * seed] * 7)
    write_record(tmp_path, "vae", 6, [])  # stopped before the first scores
    command_line.make_report(tmp_path)
    drawn = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"ablation_curves", "ablation_scores"}
    assert all(f"figures/{name}.png" in (tmp_path / "README.md").read_text() for name in drawn)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(plan, "CONFIGURATIONS", [*plan.CONFIGURATIONS, TINY])
    return TINY


def train(data: Path, log_path: Path, *more: str) -> Path:
    how = ["--quiet", "--num-threads=1", f"--data-path={data}", f"--log-path={log_path}"]
    assert main.main([*TINY.command(0), *how, *more]) == 0
    return log_path / "version_0"


@pytest.mark.slow
def test_a_run_goes_on_elsewhere_from_its_saved_state_to_the_bit(tiny, small_dsprites, tmp_path):
    whole = train(small_dsprites, tmp_path / "whole")
    begun = train(small_dsprites, tmp_path / "begun", "--max-steps=2")  # one of two epochs
    into = tmp_path / "study"
    record, state = harvest.add(begun, into), into / "states" / "tiny_seed_0"
    assert record == harvest.record(into, tiny, 0) and harvest.status(record)["epochs"] == 1
    kept = torch.load(state / "checkpoints" / "training.pt", weights_only=True)["args"]
    assert kept["seed"] == 0 and not kept.keys() & set(harvest.PLACES)
    log_path = tmp_path / "elsewhere" / "seed_0"
    assert harvest.adopt(into, "tiny", 0, log_path) and not harvest.adopt(into, "tiny", 0, log_path)
    ended = train(small_dsprites, log_path, "--resume=once", "--max-steps=None")
    a, b = (torch.load(run / "checkpoints" / "model.pt", weights_only=True) for run in (whole, ended))
    assert all(torch.equal(a[name], b[name]) for name in a)
    harvest.add(ended, into)
    status = harvest.status(record)
    assert (status["state"], status["epochs"], len(status["sessions"])) == ("finished", 2, 2)
    assert not state.exists()  # nothing to go on with
    curve = pandas.read_csv(record / "curve.csv")
    pandas.testing.assert_frame_equal(
        curve, harvest.read_curve(whole / "log_metrics.txt"), rtol=1e-5, check_dtype=False
    )
    with pytest.raises(UserError, match="has 2 epochs already"):
        harvest.harvest(begun, into)


def test_what_was_written_into_a_record_by_hand_stays(tiny, tmp_path):
    run = tmp_path / "version_0"
    run.mkdir()
    (run / "args.json").write_text(json.dumps(recorded(TINY, 0)))
    session = {"started": "2026-01-01T00:00:00Z", "stopped": "2026-01-01T01:00:00Z"}  # no revision was recorded
    (run / "status.json").write_text(json.dumps({"state": "running", "sessions": [session]}))
    file = harvest.harvest(run, tmp_path) / "status.json"
    status = json.loads(file.read_text())
    status["sessions"][0]["revision"] = "abc"
    file.write_text(json.dumps(status))
    harvest.harvest(run, tmp_path)
    assert json.loads(file.read_text())["sessions"][0]["revision"] == "abc"


def fake_interpreter(tmp_path: Path, monkeypatch, body: str) -> None:
    script = tmp_path / "python"
    script.write_text(f'#!/usr/bin/env bash\necho "$@" >> {tmp_path}/calls\n{body}\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_a_signal_stops_what_runs_and_begins_nothing_more(tmp_path, monkeypatch, capsys):
    body = (
        f"trap 'echo saved >> {tmp_path}/calls; exit 75' TERM; kill -TERM {os.getpid()}; while :; do sleep 0.02; done"
    )
    fake_interpreter(tmp_path, monkeypatch, body)
    jobs = missing(tmp_path, tmp_path / "logs", ["vae"])
    assert Runner(tmp_path, tmp_path / "logs").run(jobs, 1, after=lambda run, complete: None) == 75
    call, saved = (tmp_path / "calls").read_text().splitlines()
    assert "main.py --model=vae" in call and "--seed=0" in call and "--resume=once" in call and saved == "saved"
    assert capsys.readouterr().out == "vae seed 0: stopped; the same command continues it\n"


def test_flags_of_the_machine_are_given_to_every_run_and_others_are_refused(tmp_path, monkeypatch, capsys):
    fake_interpreter(tmp_path, monkeypatch, "exit 2")
    flags = ["--only", "hes_40_fp32", "--logs", str(tmp_path / "logs"), "--into", str(tmp_path / "study"), "--machine"]
    assert command_line.main([*flags, "--device=cpu --compile"]) == 1
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == 2 and all(call.endswith(" --device=cpu --compile") for call in calls)
    for wrong in ("--epochs 3", "--compile --precision=bf16"):
        assert command_line.main([*flags, wrong]) == 2
        assert "is for the plan to say; give --device, --data-on-device, --compile" in capsys.readouterr().err


def test_a_run_that_fails_is_told_with_its_reason_and_the_others_are_made(tmp_path, monkeypatch, capsys):
    fake_interpreter(tmp_path, monkeypatch, "echo 'error: the disk is full'; exit 2")
    jobs = missing(tmp_path, tmp_path / "logs", ["hes_40_fp32"])
    assert Runner(tmp_path, tmp_path / "logs").run(jobs, 2, after=lambda run, complete: None) == 1
    out = capsys.readouterr().out
    assert out.count("failed with status 2: error: the disk is full") == len(jobs) == 2


def test_every_run_is_trained_before_one_is_scored(tmp_path, monkeypatch, capsys):
    body = """
    for flag; do if [[ $flag == --log-path=*/seed_? ]]; then run=${flag#*=}/version_0; fi; done
    if [ -z "$run" ]; then exit; fi
    mkdir -p "$run/checkpoints"; touch "$run/checkpoints/model_epoch_7.pt"
    echo '{}' > "$run/args.json"; echo '{"state": "finished"}' > "$run/status.json"
    """
    fake_interpreter(tmp_path, monkeypatch, body)
    jobs, made = missing(tmp_path, tmp_path / "logs", ["hes_40_fp32"]), []

    def after(run, complete):
        made.append((run.parent.name, complete))

    assert Runner(tmp_path, tmp_path / "logs").run(jobs, 1, after) == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    assert ["--evaluate" in call for call in calls] == [False, False, True, True]
    # What is trained is recorded at once; what is scored is complete.
    assert made == [("seed_0", False), ("seed_1", False), ("seed_0", True), ("seed_1", True)]
    assert capsys.readouterr().out == "hes_40_fp32 seed 0: finished\nhes_40_fp32 seed 1: finished\n"


def test_an_error_after_a_run_stops_the_others_and_is_raised_at_once(tmp_path, monkeypatch):
    body = f"""
    for flag; do if [[ $flag == --log-path=* ]]; then run=${{flag#*=}}/version_0; fi; done
    mkdir -p "$run"; echo '{{}}' > "$run/args.json"
    trap 'exit 75' TERM
    for ((i = 0; $(wc -l < {tmp_path}/calls) > 1 && i < 200; i++)); do sleep 0.02; done"""
    fake_interpreter(tmp_path, monkeypatch, body)
    jobs = missing(tmp_path, tmp_path / "logs", ["small_vae"])
    assert len(jobs) > 2
    with pytest.raises(ZeroDivisionError):
        Runner(tmp_path, tmp_path / "logs").run(jobs, 1, after=lambda run, complete: 1 / 0)
    assert len((tmp_path / "calls").read_text().splitlines()) <= 2


def test_a_signal_that_comes_while_another_is_handled_stops_the_runs_too(tmp_path, monkeypatch):
    terminate, sent = subprocess.Popen.terminate, []

    def twice(process) -> None:
        sent.append(process)
        if len(sent) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        terminate(process)

    monkeypatch.setattr(subprocess.Popen, "terminate", twice)
    body = f"trap 'exit 75' TERM; kill -TERM {os.getpid()}; while :; do sleep 0.02; done"
    fake_interpreter(tmp_path, monkeypatch, body)
    jobs = missing(tmp_path, tmp_path / "logs", ["vae"])
    assert Runner(tmp_path, tmp_path / "logs").run(jobs, 1, after=lambda run, complete: None) == 75


def test_of_two_studies_at_once_one_takes_over_a_saved_state(tmp_path, monkeypatch):
    state, log_path = harvest.state_folder(tmp_path, "tiny", 0), tmp_path / "logs"
    (state / "checkpoints").mkdir(parents=True)
    (state / "args.json").write_text("{}")
    assert not harvest.adopt(tmp_path, "tiny", 0, log_path)  # nothing to go on with
    (state / "checkpoints" / "training.pt").write_bytes(b"")
    copytree, others = shutil.copytree, []

    def slow(*args, **more):
        if not others:
            others.append(pool.submit(harvest.adopt, tmp_path, "tiny", 0, log_path))
            wait(others, timeout=0.1)
        return copytree(*args, **more)

    monkeypatch.setattr(shutil, "copytree", slow)
    with ThreadPoolExecutor() as pool:
        assert harvest.adopt(tmp_path, "tiny", 0, log_path)
    assert not others[0].result()
    assert sorted(path.name for path in log_path.iterdir()) == [".lock", "version_0"]


def test_a_run_is_missing_until_it_has_the_scores_that_the_plan_asks_for(tmp_path):
    for name in ("hes_40_fp32", "small_vae"):
        write_record(tmp_path, name, 0, [0.1] * plan.by_name(name).epochs)
        (tmp_path / "logs" / name / "seed_0" / "version_0").mkdir(parents=True)
    found = [(c.name, seed) for c, seed in missing(tmp_path, tmp_path / "logs", ["hes_40_fp32", "small_vae"])]
    assert found == [("hes_40_fp32", 0), ("hes_40_fp32", 1), ("small_vae", 1), ("small_vae", 2)]


def test_weights_that_cannot_be_evaluated_cost_one_line(tiny, tmp_path, monkeypatch):
    run, into = RunDirectory(tmp_path / "version_0"), tmp_path / "study"
    run.checkpoints.mkdir(parents=True)
    run.model_file.write_bytes(b"damaged")
    run.write_args(recorded(TINY, 0))
    run.metrics_file.write_text("metric/recon : 9\ndmetric/fac_eval : 0.5\n")
    harvest.harvest(run.path, into)
    fake_interpreter(tmp_path, monkeypatch, "exit 2")
    with pytest.raises(UserError, match="version_0 could not be evaluated"):
        harvest.keep_checkpoint(run.path, into)


@pytest.mark.slow
def test_the_command_makes_what_is_missing_and_the_page(tiny, small_dsprites, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "dsprites").symlink_to(small_dsprites)
    flags = ["--only", "tiny", "--logs", str(tmp_path / "logs"), "--data", str(data), "--into", str(tmp_path / "study")]
    assert command_line.main(flags) == 0
    assert "tiny seed 0: finished" in capsys.readouterr().out
    page = (tmp_path / "study" / "README.md").read_text()
    assert "Scores: `full` protocol" in page and "Traversals of seed 0, after 2 of 2 epochs" in page
    assert command_line.main([*flags, "--list"]) == 0
    assert "1 of 1 runs are complete" in capsys.readouterr().out
