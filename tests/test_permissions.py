"""Other people's folders: one line that names the path, exit status 2, nothing written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import collect_results
import main
from logger.report import __main__ as report
from tests.powerless import mode
from tests.test_trainer import TINY, run


@pytest.fixture(scope="module")
def trained(small_dsprites, tmp_path_factory) -> Path:
    log = tmp_path_factory.mktemp("logs")
    run(small_dsprites, log, "--max-steps=1", "--seed=1", "--end-metrics=no", "--visualise=no")
    (log / "version_0/status.json").write_text(json.dumps({"state": "interrupted"}))
    return log / "version_0"


@pytest.fixture
def unfinished(trained, tmp_path) -> Path:
    shutil.copytree(trained, tmp_path / "logs" / "version_0")
    return tmp_path / "logs" / "version_0"


def files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.name != ".lock")


def assert_one_line(status: int, capsys, path: Path) -> None:
    err = capsys.readouterr().err
    assert status == 2
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert str(path) in err


@pytest.mark.parametrize("inside", ["", "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz", "deeper/still"])
def test_data_in_the_folder_of_another(inside, small_dsprites, tmp_path, capsys):
    theirs = tmp_path / "theirs"
    shutil.copytree(small_dsprites, theirs / "data")
    path = theirs / "data" / inside
    with mode(theirs, 0o000):
        status = main.main([*TINY, "--dataset=dsprites", f"--data-path={path}", f"--log-path={tmp_path / 'logs'}"])
    assert_one_line(status, capsys, theirs)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("unreadable", ["", "args.json", "checkpoints", "checkpoints/model.pt"])
def test_evaluation_of_an_unreadable_run(unreadable, unfinished, small_dsprites, capsys):
    before = files(unfinished)
    with mode(unfinished / unreadable, 0o000):
        flags = ["--evaluate", f"--log-path={unfinished}", f"--data-path={small_dsprites}", "--quiet"]
        status = main.main([*flags, "--num-threads=1", "--metric-preset=fast"])
    assert_one_line(status, capsys, unfinished / unreadable)
    assert files(unfinished) == before


@pytest.mark.parametrize("unreadable", ["args.json", "checkpoints/training.pt", "status.json"])
@pytest.mark.parametrize("mode_", ["auto", "load"])
def test_continuing_an_unreadable_run(unreadable, mode_, unfinished, small_dsprites, capsys):
    flags = ["--load-model"] if mode_ == "load" else ["--resume=auto"]
    with mode(unfinished / unreadable, 0o000):
        argv = [*TINY, *flags, "--dataset=dsprites", f"--data-path={small_dsprites}", f"--log-path={unfinished}"]
        status = main.main([*argv, "--max-steps=1", "--end-metrics=no", "--visualise=no"])
    if unreadable == "status.json":  # nothing that a run depends on
        assert status == 0
    elif "training.pt" in unreadable:
        assert status == 0
        assert f"warning: {unfinished / unreadable} cannot be read" in capsys.readouterr().err
    else:
        assert_one_line(status, capsys, unfinished / unreadable)


@pytest.mark.parametrize("closed", ["", "version_0"])
@pytest.mark.parametrize("flags", [["--resume=auto"], ["--resume=once", "--seed=1"], ["--load-model"], []])
def test_a_log_path_that_cannot_be_written(closed, flags, unfinished, small_dsprites, capsys):
    logs = unfinished.parent
    before = files(logs)
    argv = [*TINY, *flags, "--dataset=dsprites", f"--data-path={small_dsprites}", f"--log-path={logs}"]
    if closed and not flags:
        return  # a new run beside it is no fault
    with mode(logs / closed, 0o500):
        status = main.main([*argv, "--max-steps=1", "--end-metrics=no", "--visualise=no"])
    assert_one_line(status, capsys, logs / closed)
    assert files(logs) == before


def test_tables_and_reports_name_what_they_cannot_read(unfinished, tmp_path, capsys):
    logs = unfinished.parent
    with mode(unfinished, 0o000):
        collect_results.main([f"--in_dir={logs}", f"--result_file={tmp_path / 'table.csv'}"])
        out, err = capsys.readouterr()
        assert str(unfinished) in err and "Permission denied" in err
        assert "1 left out" in out + err or "no run" in err
        assert report.main([str(unfinished)]) == 2
        assert str(unfinished) in capsys.readouterr().err


def test_a_log_path_that_is_too_long(small_dsprites, tmp_path, capsys):
    for name in ("x" * 300, "/".join(["x" * 200] * 30)):
        argv = ["--dataset=dsprites", f"--data-path={small_dsprites}", f"--log-path={tmp_path / name}"]
        for more in ([], ["--resume=auto"], ["--load-model"], ["--evaluate"]):
            assert_one_line(main.main([*TINY, *argv, *more]), capsys, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_model_larger_than_the_memory(small_dsprites, tmp_path, capsys, monkeypatch):
    import torch

    import trainer

    def too_large(*_):
        torch.empty(2**60)

    monkeypatch.setattr(trainer, "run", too_large)
    assert_one_line(main.main(["--dataset=dsprites"]), capsys, "--batch-size")
