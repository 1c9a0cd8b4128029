"""Reading runs back: arguments, scalars, scores and pictures."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from report_pages import titles_of, write_run
from torch.utils.tensorboard import SummaryWriter

from logger import find_runs, read_run, reading
from logger.log import ScalarWriter
from logger.run_directory import RunDirectory
from system import files

pytestmark = pytest.mark.usefixtures("cheap_pictures")


@pytest.fixture
def run(tmp_path) -> Path:
    return write_run(tmp_path / "logs" / "version_0", {"fac_eval": 0.5, "SAP_score": 0.25, "mine": 0.125})


def test_runs_are_found_in_natural_order_and_once(tmp_path):
    for n in (10, 9, 1):
        write_run(tmp_path / f"version_{n}", drawn=False)
    found = find_runs([tmp_path, tmp_path / "version_9"])
    assert [path.name for path in found] == ["version_1", "version_9", "version_10"]


def test_read_run_gives_arguments_scalars_scores_and_pictures(run):
    read = read_run(run)
    assert read.args["seed"] == 1 and read.scores["fac_eval"] == 0.5 and read.protocol["preset"] == "fast"
    assert list(read.scalars.columns) == ["tag", "step", "value"]
    assert list(read.curve("train/loss").step) == list(range(20, 400, 20))
    assert read.last("train/loss") == pytest.approx(100 / 380)
    assert read.last("never/logged") is None
    assert set(read.pictures) == {"traversals", "group_elements"}
    assert all(path.is_file() for path in read.pictures.values())


def test_read_run_joins_the_event_files_of_a_continued_run_of_an_older_version_and_keeps_the_later_value(tmp_path):
    (tmp_path / "args.json").write_text("{}")
    for steps, loss in ((range(20, 100, 20), 100.0), (range(60, 140, 20), 200.0)):  # went back to step 60
        with SummaryWriter(str(tmp_path), purge_step=steps[0]) as writer:
            for step in steps:
                writer.add_scalar("train/loss", loss / step, step)
                writer.add_scalar("train_by_images_seen/loss", loss / step, 64 * step)
    assert len(list(tmp_path.glob("events.*"))) == 2
    curve = read_run(tmp_path).curve("train/loss")
    assert list(curve.step) == [20, 40, 60, 80, 100, 120]
    np.testing.assert_allclose(curve.value, [5, 2.5, 200 / 60, 2.5, 2, 200 / 120], rtol=1e-5)
    assert len(read_run(tmp_path).curve("train_by_images_seen/loss")) == 6


def test_scores_come_from_the_log_where_no_file_has_them(tmp_path):
    path = write_run(tmp_path / "version_0")
    (path / "log_metrics.txt").write_text(
        "dmetric/fac_eval : 0.25\nmetric/loss : 3\ndmetric/fac_eval : 0.75\ndmetric/SAP_score : nan\nno number : none\n"
    )
    assert read_run(path).scores == {"fac_eval": 0.75}


def test_a_run_that_finishes_while_it_is_read_counts_as_running(run, monkeypatch):
    RunDirectory(run).write_status("running")
    read_json = files.read_json

    def slow(path):
        content = read_json(path)
        if Path(path).name == "scores.json":  # those of an earlier epoch: the last ones are written now
            RunDirectory(run).write_status("finished")
        return content

    monkeypatch.setattr(reading, "read_json", slow)
    assert read_run(run).state == "running"
    assert read_run(run).state == "finished"


def test_scores_of_kept_weights_stand_at_the_step_of_their_epoch(tmp_path):
    path = tmp_path / "version_0"
    for last in (100, 200):  # an epoch each, with its validation
        write_run(path, {"fac_eval": 0.5}, steps=[last])
    for epoch, score in ((1, 0.25), (2, 0.5), (9, 0.75)):
        (path / f"scores_epoch_{epoch}.json").write_text(json.dumps({"scores": {"fac_eval": score}, "protocol": {}}))
    curve = read_run(path).curve("dmetric/fac_eval")
    assert list(curve.step) == [100, 200] and list(curve.value) == [0.25, 0.5]
    assert "FactorVAE score" in titles_of(path)


def test_scores_of_kept_weights_stand_right_also_after_a_validation_within_an_epoch(tmp_path):
    """--max-steps ended a session of this run after 10 steps, epochs have 7. An older version trained the first."""
    with SummaryWriter(str(tmp_path)) as writer:
        for at, (step, epochs) in enumerate({7: None, 10: 10 / 7, 14: 2, 21: 3}.items()):
            writer.add_scalar("validation/loss", 100 - step, step, walltime=at)
            if epochs:
                writer.add_scalar(reading.EPOCHS, epochs, step, walltime=at)
    for epoch in (1, 2, 3, 4):
        content = {"scores": {"sap": epoch / 10}, "protocol": {}}
        (tmp_path / f"scores_epoch_{epoch}.json").write_text(json.dumps(content))
    (tmp_path / "log_metrics.txt").touch()
    assert read_run(tmp_path).curve("dmetric/sap").step.tolist() == [7, 14, 21]


def test_scores_of_a_text_log_stand_at_the_epoch_after_which_they_were_taken_last(tmp_path):
    lines = ["metric/loss : 3", "dmetric/fac_eval : 0.25", "metric/loss : 2", "dmetric/fac_eval : 0.5"]
    (tmp_path / "log_metrics.txt").write_text("\n".join([*lines, "dmetric/fac_eval : 0.75\n"]))
    with SummaryWriter(str(tmp_path)) as writer:  # what --evaluate adds to a run of the authors' code
        writer.add_scalar("dmetric/fac_eval", 0.75, 0)
    run = read_run(tmp_path)
    assert run.curve("dmetric/fac_eval")[["step", "value"]].values.tolist() == [[1, 0.25], [2, 0.75]]
    assert run.curve("validation/loss")[["step", "value"]].values.tolist() == [[1, 3], [2, 2]]


def test_a_run_of_an_older_version_that_is_scored_again_keeps_its_curves(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("validation/loss", 3.0, 9)
    (tmp_path / "log_metrics.txt").write_text("metric/loss : 3\n")
    (tmp_path / "args.json").write_text("{}")
    with contextlib.closing(ScalarWriter(RunDirectory(tmp_path))) as writer:
        writer.add_scalar("dmetric/fac_eval", 0.5, 9)
    assert {"validation/loss", "dmetric/fac_eval"} <= set(read_run(tmp_path).scalars.tag)
