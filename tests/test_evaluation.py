"""`--evaluate` through the command line: what is scored, and where the scores are written."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

import datasets
import main
from logger.report import write_report
from logger.run_directory import RunDirectory
from tests.powerless import mode
from tests.test_trainer import command, run

TRAINED = ["--model=beta_shapes", "--seed=1", "--end-metrics=no", "--visualise=no"]
EVALUATE = ["--evaluate=yes", "--metric-preset=fast", "--visualise=no"]


pytestmark = pytest.mark.usefixtures("cheap_scores", "cheap_pictures", "narrow_networks")


@pytest.fixture(scope="module")
def data(small_dsprites, tmp_path_factory) -> Path:
    """A copy that counts as the published file, and may be taken away."""
    folder = tmp_path_factory.mktemp("published")
    for file in small_dsprites.iterdir():
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def finished(data, narrow_networks, tmp_path_factory) -> Path:
    log = tmp_path_factory.mktemp("logs")
    run(data, log, "--max-steps=4", *TRAINED)
    args = json.loads((log / "version_0/args.json").read_text())
    (log / "version_0/args.json").write_text(json.dumps({**args, "data_source": "dsprites.npz"}))
    return log / "version_0"


@pytest.fixture
def trained(finished, tmp_path) -> Path:
    """A copy, for a test of its own."""
    return shutil.copytree(finished, tmp_path / "logs" / "version_0")


def evaluate(path: Path, *flags: str) -> int:
    return main.main([f"--log-path={path}", *EVALUATE, "--quiet", "--num-threads=1", *flags])


def protocol(folder: Path) -> dict:
    return json.loads((folder / "scores.json").read_text())["protocol"]


def test_the_data_of_the_training_are_scored_unless_others_are_named(trained, data, small_dsprites, capsys):
    assert evaluate(trained) == 0
    assert (protocol(trained)["images"], protocol(trained)["step"]) == (120, 4)
    assert evaluate(trained, f"--data-path={small_dsprites}") == 0


def test_scores_belong_to_the_weights_that_were_read_although_the_training_goes_on(trained, monkeypatch):
    import metrics
    from system.files import load_tensors, write_tensors

    score_model = metrics.score_model

    def slow(*args, **more):
        file = trained / "checkpoints/training.pt"
        checkpoint = load_tensors(file)
        write_tensors({**checkpoint, "progress": {**checkpoint["progress"], "step": 9}}, file)
        return score_model(*args, **more)

    monkeypatch.setattr(metrics, "score_model", slow)
    assert evaluate(trained) == 0
    assert protocol(trained)["step"] == 4


def test_weights_and_step_are_of_one_checkpoint_although_the_training_goes_on(trained, monkeypatch):
    from logger import checkpoints
    from system.files import load_tensors, write_tensors

    load_weights, steps = checkpoints.load_weights, iter([5, 6])

    def load(*args):  # the run writes two more checkpoints meanwhile
        file = trained / "checkpoints/training.pt"
        checkpoint = load_tensors(file)
        step = next(steps, 6)
        write_tensors({**checkpoint, "progress": {**checkpoint["progress"], "step": step}}, file)
        load_weights(*args)

    monkeypatch.setattr(checkpoints, "load_weights", load)
    assert evaluate(trained) == 0
    assert protocol(trained)["step"] == 6


def test_scores_of_weights_on_the_way_do_not_replace_those_of_a_run_that_is_finished_meanwhile(
    trained, monkeypatch, capsys
):
    import metrics

    run, score_model, newer = RunDirectory(trained), metrics.score_model, '{"protocol": {"step": 9}}'

    def slow(*args, **more):
        run.write_status("finished")
        run.scores_file.write_text(newer)
        return score_model(*args, **more)

    monkeypatch.setattr(metrics, "score_model", slow)
    run.write_status("running")
    assert evaluate(trained) == 0
    assert "has scores of step 9 by now: these are in evaluations.jsonl only" in capsys.readouterr().out
    assert run.scores_file.read_text() == newer
    assert json.loads(run.evaluations_file.read_text())["protocol"]["step"] == 4


def test_kept_weights_are_scored_also_if_the_checkpoint_is_damaged(trained):
    checkpoints = trained / "checkpoints"
    shutil.copy(checkpoints / "model.pt", checkpoints / "model_epoch_1.pt")
    for file in checkpoints.glob("training*"):
        file.write_bytes(b"damaged")
    assert evaluate(trained, "--epoch=1") == 0


def test_data_that_are_gone_are_asked_for_and_not_replaced_by_the_replica(trained, tmp_path, capsys):
    args = json.loads((trained / "args.json").read_text())
    (trained / "args.json").write_text(json.dumps({**args, "data_path": str(tmp_path / "gone")}))
    assert evaluate(trained) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "which is not there: name its folder with --data-path" in line
    assert not (trained / "scores.json").exists()


def test_results_do_not_replace_those_of_another_run(trained, tmp_path, capsys):
    other = tmp_path / "version_0"
    other.mkdir()
    (other / "args.json").write_text("{}")
    assert evaluate(trained, f"--result-path={other}") == 2
    assert "is a run, whose scores would be replaced: name another folder" in capsys.readouterr().err
    assert [file.name for file in other.iterdir()] == ["args.json"]


def test_a_result_path_takes_everything_that_is_written(trained, tmp_path):
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert evaluate(trained, f"--result-path={tmp_path / 'new/results'}", "--visualise=yes") == 0
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before
    written = {path.name for path in (tmp_path / "new/results").iterdir()}
    assert {"scores.json", "log_metrics.txt", "evaluations.jsonl", "traversals.png"} <= written


def test_the_command_for_the_report_can_be_copied_into_a_shell(trained, tmp_path, capsys):
    moved = trained.rename(tmp_path / "two words")
    assert evaluate(moved) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("report "))
    assert shlex.split(line)[1:] == ["python", "-m", "logger.report", str(moved)]


def test_a_run_that_cannot_be_written_is_refused_before_the_work_with_the_remedy(trained, capsys):
    with mode(trained, 0o555):
        assert evaluate(trained) == 2
        output = capsys.readouterr()
        assert "name a folder for the scores with --result-path" in output.err
        assert len(output.err.splitlines()) == 1 and "scores on" not in output.out
        main.load_model(trained, f"--data-path={json.loads((trained / 'args.json').read_text())['data_path']}")


def test_scores_that_cannot_be_kept_are_on_the_screen_and_the_reason_is_one_line(trained, capsys):
    (trained / "evaluations.jsonl").symlink_to("/dev/full")
    assert evaluate(trained) == 2
    output = capsys.readouterr()
    assert "scores on" in output.out and output.err.count("\n") == 1 and "No space left" in output.err


def test_evaluations_are_kept_when_the_run_goes_on(trained, data):
    assert evaluate(trained) == evaluate(trained, "--seed=7") == 0
    kept = (trained / "evaluations.jsonl").read_text()
    assert [json.loads(line)["protocol"]["seed"] for line in kept.splitlines()] == [1, 7]
    args = json.loads((trained / "args.json").read_text())
    (trained / "args.json").write_text(json.dumps({**args, "data_source": "replica"}))
    assert main.main(command(data, trained.parent, "--max-steps=8", *TRAINED, "--load-model=yes")) == 0
    assert (trained / "evaluations.jsonl").read_text() == kept


def test_a_bootstrap_gives_every_score_an_interval_on_the_screen_in_the_file_and_in_the_report(
    trained, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("metrics.evaluation.applicable", lambda *_: ["sap", "mig"])
    assert evaluate(trained, "--bootstrap=3") == 0
    written = json.loads((trained / "scores.json").read_text())
    assert written["protocol"]["bootstrap"] == 3
    assert written["intervals"].keys() == {name for name in written["scores"] if not name.endswith("_se")}
    low, high = written["intervals"]["SAP_score"]
    assert low < written["scores"]["SAP_score"] < high
    screen = capsys.readouterr().out
    assert "in brackets: 95% intervals from 3 half-samples" in screen and f"[{low:.4f}, {high:.4f}]" in screen
    write_report([trained], tmp_path / "report.html")
    assert f"95%: {low:.4f} to {high:.4f}" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--eval_data_path=/dev/null/x"], "--eval_data_path /dev/null/x"),
        (["--eval_dataset=shapes3d", "--eval_data_path=/dev/null/y"], "--eval_data_path /dev/null/y"),
        (["--result-path=elsewhere"], "--result-path"),
        (["--bootstrap=20"], "--bootstrap is for --evaluate"),
        (["--seed=4294967296"], "--seed"),
        (["--evaluate", "--bootstrap=1"], "--bootstrap: '1' is not an integer of at least 2"),
        (["--evaluate", "--eval_dataset=imagenet"], "--eval_dataset: invalid choice: 'imagenet'"),
    ],
)
def test_flags_of_the_scores_are_checked_before_the_work(flags, named, small_dsprites, tmp_path, capsys):
    assert main.main(command(small_dsprites, tmp_path / "logs", "--max-steps=2", *flags)) == 2
    assert named in capsys.readouterr().err
    assert not list(tmp_path.glob("logs/version_*"))


def test_channels_of_the_evaluation_data_are_checked_before_the_training(small_dsprites, tmp_path, capsys):
    import numpy as np

    np.savez(tmp_path / "colour.npz", images=np.zeros((8, 64, 64, 3), np.uint8))
    flags = ["--eval_dataset=arrays", f"--eval_data_path={tmp_path / 'colour.npz'}", "--max-steps=2"]
    assert main.main(command(small_dsprites, tmp_path / "logs", *flags)) == 2
    assert "--eval_dataset arrays has 3 channels, the model 1" in capsys.readouterr().err
    assert not list(tmp_path.glob("logs/version_*"))


@pytest.mark.parametrize(
    "flags",
    [
        ["--fixed_shape=1"],
        ["--dataset=arrays"],
        ["--resize=pad", "--eval_dataset=arrays", "--eval_data_path={tmp}/grey.npz"],
    ],
)
def test_flags_that_would_choose_other_images_are_refused(flags, trained, tmp_path, capsys):
    import numpy as np

    np.savez(tmp_path / "grey.npz", images=np.zeros((8, 64, 64), np.uint8))
    assert evaluate(trained, *(flag.format(tmp=tmp_path) for flag in flags)) == 2
    name, _, value = flags[0].partition("=")
    assert f"{name} {value}: a run is scored on the images that its own flag chooses" in capsys.readouterr().err


def test_the_runs_own_flags_may_be_repeated(trained, capsys):
    assert evaluate(trained, "--dataset=dsprites", "--fixed_shape=none") == 0


def test_evaluation_data_with_other_channels_are_named(trained, tmp_path, capsys):
    import numpy as np

    np.savez(tmp_path / "colour.npz", images=np.zeros((8, 64, 64, 3), np.uint8))
    assert evaluate(trained, "--eval_dataset=arrays", f"--eval_data_path={tmp_path / 'colour.npz'}") == 2
    assert "does not fit the model that the arguments describe, for images with channels: 3" in capsys.readouterr().err


def test_another_data_set_is_never_looked_for_in_the_path_of_the_training_data(small_dsprites, tmp_path, capsys):
    """It would even be downloaded there."""
    flags = ["--eval_dataset=cars3d", "--max-steps=2"]
    assert main.main(command(small_dsprites, tmp_path / "logs", *flags)) == 2
    assert "--eval_data_path is needed for --dataset cars3d" in capsys.readouterr().err
    parsed = main.parse(["--dataset=dsprites", f"--data-path={small_dsprites}", "--eval_dataset=shapes3d"]).args
    assert datasets._evaluated_on(parsed) == ("shapes3d", None)
