"""How a run is put back to its last checkpoint: what is cut off, what stays, and what is refused."""

from __future__ import annotations

import pytest

from logger import checkpoints
from logger.catalogue import PICTURES
from logger.run_directory import RunDirectory
from logger.runs import claim
from system.errors import UserError

RECORDED = {"data_source": "replica", "torch": "2.0"}


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    """A run that validated twice and was scored after the second time."""
    run = claim(tmp_path, {"data_source": "replica"})
    run.metrics_file.write_text("metric/loss : 2\n" + "metric/loss : 1\ndmetric/fac_eval : 0.5\n")
    (run.path / "events.one").write_text("0123456789")
    (run.path / "events.two").write_text("newer")
    for picture in PICTURES.values():
        (run.path / picture.file).touch()
    run.scores_file.write_text("{}")
    run.codes_file.touch()
    (run.checkpoints / ".training.pt.1.partial").touch()
    return run


def checkpoint(**logs: int) -> dict:
    return {"logs": {name.replace("__", "."): length for name, length in logs.items()}, "versions": {"torch": "2.0"}}


def continued(run: RunDirectory, at: dict | None, recorded: dict = RECORDED, steps: tuple[int, int] = (3, 9)) -> None:
    checkpoints.check_and_rewind(run, at, recorded, *steps)


def of_scores(run: RunDirectory) -> list[bool]:
    """Whether each file that scores left is there."""
    pictures = [run.path / picture.file for picture in PICTURES.values() if picture.section == "scores"]
    return [path.exists() for path in (run.scores_file, run.codes_file, *pictures)]


def test_logs_are_cut_to_their_lengths_and_scores_that_are_cut_off_take_their_files_along(run, capsys):
    continued(run, checkpoint(log_metrics__txt=16, events__one=4))
    assert run.metrics_file.read_text() == "metric/loss : 2\n"
    assert (run.path / "events.one").read_text() == "0123" and not (run.path / "events.two").exists()
    assert not any(of_scores(run)) and (run.path / PICTURES["traversals"].file).exists()
    assert not list(run.checkpoints.iterdir())  # a write that was cut short
    assert capsys.readouterr().out == f"continuing {run.path} from step 3 of 9\n"


def test_scores_before_the_checkpoint_stay(run):
    lengths = checkpoints.log_lengths(run)
    assert lengths == {"log_metrics.txt": 55, "events.one": 10, "events.two": 5}
    with open(run.metrics_file, "a") as file:
        file.write("metric/loss : 0.5\n")
    continued(run, {"logs": lengths, "versions": {"torch": "2.0"}})
    assert run.metrics_file.stat().st_size == 55 and all(of_scores(run))
    assert checkpoints.log_lengths(run) == lengths


def test_without_a_checkpoint_a_run_starts_over(run):
    continued(run, None)
    assert not run.metrics_file.exists() and not list(run.path.glob("events.*")) and not any(of_scores(run))
    assert checkpoints.log_lengths(run) == {}


@pytest.mark.parametrize("left", [None, "metric/"])
def test_a_log_that_is_missing_or_cut_is_told_and_stops_nothing(run, left, capsys):
    lengths = checkpoints.log_lengths(run)
    run.metrics_file.unlink()
    if left:
        run.metrics_file.write_text(left)
    continued(run, {"logs": lengths, "versions": {"torch": "2.0"}})
    warning = f"warning: {run.metrics_file} is shorter than at the last checkpoint: what it lacks is lost\n"
    assert capsys.readouterr().err == warning


def test_own_images_of_the_same_name_are_told_apart_by_their_checksum(run):
    run.write_args({"data_source": "a.npz"})  # by an older version
    continued(run, checkpoint(), {**RECORDED, "data_source": "a.npz, crc32 00000001"})
    with pytest.raises(UserError, match=r"was started on a\.npz, not on b\.npz, crc32 00000001"):
        continued(run, checkpoint(), {**RECORDED, "data_source": "b.npz, crc32 00000001"})
    run.write_args({"data_source": "a.npz, crc32 00000001"})
    with pytest.raises(UserError, match=r"was started on a\.npz, crc32 00000001, not on a\.npz, crc32 00000002"):
        continued(run, checkpoint(), {**RECORDED, "data_source": "a.npz, crc32 00000002"})


def test_other_data_and_a_run_that_is_at_its_end_are_refused_and_another_torch_is_told(run, capsys):
    with pytest.raises(UserError, match=r"was started on replica, not on other\.npz: give its --data-path again"):
        continued(run, checkpoint(), {**RECORDED, "data_source": "other.npz"})
    run.write_status("finished")
    with pytest.raises(UserError, match="is finished after 9 steps; raise --epochs or --max-steps, now 4 and none,"):
        continued(run, checkpoint(), {**RECORDED, "epochs": 4, "max_steps": None}, steps=(9, 9))
    with pytest.raises(UserError, match="is finished and has no checkpoint to continue from, only its weights"):
        continued(run, None)
    continued(run, checkpoint(), {**RECORDED, "torch": "2.1"})  # to train it further
    assert "continues under torch 2.1, not 2.0: last digits may differ" in capsys.readouterr().out
    assert run.metrics_file.stat().st_size == 55 and all(of_scores(run))
    run.write_args({})  # killed before it recorded its data
    run.write_status("interrupted")
    continued(run, None, {**RECORDED, "data_source": "other.npz"})
