"""Run directories in, tables out."""

import argparse
import csv
import json
import os
import stat
import statistics
import time
from pathlib import Path

import pytest
import torch

import collect_results
from logger.tables import COLUMNS

REFERENCE_HEADER = (
    "_config fac.mean fac.std fac_dim.mean fac_dim.std beta.mean beta.std mig.mean mig.std dci_info.mean dci_info.std "
    "dci_dis.mean dci_dis.std dci_comp.mean dci_comp.std mod.mean mod.std explicit.mean explicit.std sap.mean sap.std "
    "fl.mean fl.std n_samples path ctime"
)


def write_run(
    experiment: Path, n: int, scores: dict, *, state="finished", protocol: dict | None = None, **args
) -> Path:
    """A run of this project: arguments, status, losses and scores, with their protocol if there is one."""
    run = experiment / f"version_{n}"
    (run / "checkpoints").mkdir(parents=True)
    args = {"model": "lie_group", "dataset": "dsprites", "latents": 10, "seed": n, **args}
    (run / "args.json").write_text(json.dumps(args))
    (run / "status.json").write_text(json.dumps({"state": state}))
    if protocol:
        (run / "scores.json").write_text(json.dumps({"scores": scores, "protocol": protocol}))
    log_scores(run, scores)
    return run


def log_scores(run: Path, scores: dict) -> None:
    with open(run / "log_metrics.txt", "a") as file:
        file.write("metric/loss : 12.5\n")
        file.writelines(f"dmetric/{name} : {value}\n" for name, value in scores.items())


def written(tmp_path: Path, folder: Path, *flags: str) -> str:
    table = tmp_path / "table.csv"
    assert collect_results.main([f"--in_dir={folder}", f"--result_file={table}", *flags]) == 0
    return table.read_text()


def collect(tmp_path: Path, folder: Path, *flags: str) -> list[dict[str, str]]:
    return list(csv.DictReader(written(tmp_path, folder, *flags).splitlines()))


def refused(capsys, *flags: str) -> str:
    """The one line of the error that ends the command, after notes."""
    assert collect_results.main([*flags]) == 2
    *notes, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ") and all(note.startswith("note: ") for note in notes)
    return error.removeprefix("error: ")


def test_one_row_a_directory_with_mean_and_standard_deviation(tmp_path):
    values = [0.5, 0.75, 0.625]
    for n, value in enumerate(values):
        write_run(tmp_path / "logs" / "a", n, {"fac_eval": value, "discrete_mig": 0.1}, latents=10 + n // 2)
    write_run(tmp_path / "logs" / "b", 0, {"fac_eval": 0.25}, model="beta_shapes", latents=None)
    for n in range(3):
        os.utime(tmp_path / "logs" / "a" / f"version_{n}" / "log_metrics.txt", times=(0, 10**9 + 86400 * (n % 2)))
    rows = collect(tmp_path, tmp_path / "logs", "--config_variables", "[model, dataset, latents]")
    assert list(rows[0]) == REFERENCE_HEADER.split()
    assert [row["_config"] for row in rows] == ["lie_group-dsprites-10/11", "beta_shapes-dsprites-?"]
    assert rows[0]["fac.mean"] == "0.625"
    assert rows[0]["fac.std"] == f"{statistics.stdev(values):.3f}" == "0.125"
    assert (rows[0]["mig.mean"], rows[0]["mig.std"]) == ("0.100", "0.000")
    assert rows[0]["n_samples"] == "3" and rows[0]["path"].endswith("logs/a")
    assert rows[0]["sap.mean"] == "-"
    assert rows[0]["ctime"] == time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(10**9 + 86400))  # of the newest
    assert (rows[1]["fac.mean"], rows[1]["fac.std"], rows[1]["n_samples"]) == ("0.250", "-", "1")


def test_every_column_takes_its_score(tmp_path):
    scores = {score: (i + 1) / 100 for i, score in enumerate(COLUMNS.values())}
    write_run(
        tmp_path / "logs" / "a", 0, {**scores, "fac_train": 0.9, "hig_acc": 0.9, "dci_informativeness_train": 0.9}
    )
    (row,) = collect(tmp_path, tmp_path / "logs")
    for i, column in enumerate(COLUMNS):
        assert row[f"{column}.mean"] == f"{(i + 1) / 100:.3f}"


def test_a_score_of_zero_is_a_sample_and_of_several_evaluations_the_newest_counts_once(tmp_path):
    write_run(tmp_path / "logs" / "a", 0, {"fac_eval": 0.0})
    run = write_run(tmp_path / "logs" / "a", 1, {"fac_eval": 0.9})
    log_scores(run, {"fac_eval": 0.5})
    (row,) = collect(tmp_path, tmp_path / "logs")
    assert (row["fac.mean"], row["n_samples"]) == ("0.250", "2")


def test_directories_of_the_authors_code_are_read(tmp_path):
    for n in range(2):
        run = tmp_path / "logs" / "theirs" / f"version_{n}"
        (run / "checkpoints").mkdir(parents=True)
        torch.save(argparse.Namespace(model="lie_group", dataset="shapes3d"), run / "checkpoints" / "args.pt")
        log_scores(run, {"fac_eval": 0.5 + n / 4})
    (row,) = collect(tmp_path, tmp_path / "logs")
    assert (row["_config"], row["fac.mean"], row["n_samples"]) == ("lie_group-shapes3d", "0.625", "2")


def test_what_does_not_count_is_listed_and_does_not_stop_it(tmp_path, capsys):
    logs = tmp_path / "logs"
    write_run(logs / "a", 0, {"fac_eval": 0.5})
    for n, state in ((1, "running"), (2, "failed"), (3, "interrupted")):
        write_run(logs / "a", n, {"fac_eval": 0.9}, state=state)
    write_run(logs / "a", 4, {})
    (logs / "a" / "version_5").mkdir()
    damaged = write_run(logs / "a", 6, {"fac_eval": 0.9})
    (damaged / "args.json").write_text("{")
    (logs / "photographs").mkdir()
    (logs / "none" / "version_0").mkdir(parents=True)
    rows = collect(tmp_path, logs)
    assert [(row["fac.mean"], row["n_samples"]) for row in rows] == [("0.500", "1"), ("-", "0")]
    listed = capsys.readouterr().err
    for name, reason in {
        "a/version_1": "unfinished", "a/version_2": "failed", "a/version_3": "unfinished", "a/version_4": "none of",
        "a/version_5": "not a run", "a/version_6": "JSON", "photographs": "no version", "none/version_0": "not a run",
    }.items():  # fmt: skip
        assert any(f"{logs / name}:" in line and reason in line for line in listed.splitlines()), name


def test_an_empty_folder_gives_an_empty_table_and_a_missing_one_an_error(tmp_path, capsys):
    (tmp_path / "logs").mkdir()
    assert collect(tmp_path, tmp_path / "logs") == []
    assert written(tmp_path, tmp_path / "logs", "--format=markdown").startswith("| mean ± sd |\n")
    assert refused(capsys, f"--in_dir={tmp_path / 'no'}", f"--result_file={tmp_path / 't.csv'}").startswith("--in_dir")


def test_symbolic_links_are_followed_and_a_folder_that_is_reached_twice_counts_once(tmp_path, capsys):
    write_run(tmp_path / "elsewhere" / "a", 0, {"fac_eval": 0.5})
    run = write_run(tmp_path / "elsewhere" / "b", 0, {"fac_eval": 0.25})
    logs = tmp_path / "logs"
    (logs / "c").mkdir(parents=True)
    (logs / "a").symlink_to(tmp_path / "elsewhere" / "a")
    (logs / "again").symlink_to(tmp_path / "elsewhere" / "a")
    (logs / "c" / "version_0").symlink_to(run)
    (logs / "c" / "version_1").symlink_to(tmp_path / "gone")
    (logs / "c" / "back").symlink_to(logs)
    rows = collect(tmp_path, logs)
    assert [(row["fac.mean"], row["n_samples"]) for row in rows] == [("0.500", "1"), ("0.250", "1")]
    captured = capsys.readouterr()
    for name, reason in {"again": "same folder", "c/version_1": "no folder", "c/back": "same folder"}.items():
        assert any(line.startswith(f"{logs / name}: ") and reason in line for line in captured.err.splitlines()), name
    assert "2 runs in 2 rows, 3 left out" in captured.out


def test_a_folder_without_permission_is_reported_and_counted(tmp_path, capsys, monkeypatch):
    write_run(tmp_path / "logs" / "a", 0, {"fac_eval": 0.5})
    locked = [tmp_path / "logs" / "locked", write_run(tmp_path / "logs" / "a", 1, {"fac_eval": 0.5})]
    locked[0].mkdir()
    scandir, listdir = os.scandir, os.listdir

    def refuse(path, real):  # as for a user without permission; root may read everything
        if Path(path) in locked:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", lambda path=".": refuse(path, scandir))
    monkeypatch.setattr(os, "listdir", lambda path=".": refuse(path, listdir))
    collect(tmp_path, tmp_path / "logs")
    captured = capsys.readouterr()
    assert "1 runs in 1 rows, 2 left out" in captured.out
    assert captured.err.count("Permission denied") == 2 and all(f"{path}: " in captured.err for path in locked)


def test_a_name_that_no_run_records_is_refused(tmp_path, capsys):
    write_run(tmp_path / "logs" / "a", 0, {"fac_eval": 0.5})
    for flag in ("--group-by", "--config_variables"):
        error = refused(capsys, f"--in_dir={tmp_path / 'logs'}", f"--result_file={tmp_path / 't.csv'}", flag, "modle")
        assert error.startswith(f"{flag.replace('-by', '_by')} modle: ") and error.endswith("choose from model")
    assert not (tmp_path / "t.csv").exists()


def test_folders_of_the_results_are_made_and_refused_before_anything_is_read(tmp_path, capsys):
    write_run(tmp_path / "logs" / "a", 0, {"fac_eval": 0.5})
    (tmp_path / "file").touch()
    command = f"--in_dir={tmp_path / 'logs'}"
    assert collect_results.main([command, f"--result_file={tmp_path / 'new' / 'er' / 't.csv'}"]) == 0
    assert (tmp_path / "new" / "er" / "t.csv").is_file()
    capsys.readouterr()
    for wrong in ("file/t.csv", "file/new/t.csv", "logs"):
        error = refused(capsys, command, f"--result_file={tmp_path / wrong}")
        assert error.startswith(f"--result_file {tmp_path / wrong}")


def test_wrong_flags_are_one_line(capsys):
    for flags in ([], ["--in_dir=a", "--result_file=b", "--format=html"]):
        refused(capsys, *flags)


def test_means_that_are_printed_alike_are_all_marked(tmp_path, capsys):
    for model, values in {"a": (0.1, 0.2, 0.3), "b": (0.3, 0.2, 0.1), "c": (0.1, 0.1, 0.1)}.items():
        for n, value in enumerate(values):
            write_run(tmp_path / "logs" / model, n, {"fac_eval": value, "discrete_mig": 0.5}, model=model)
    collect(tmp_path, tmp_path / "logs")
    printed = capsys.readouterr().out
    assert printed.count("0.200 ± 0.100*") == 2 and printed.count("*") == 3  # and the line that explains it


@pytest.mark.parametrize("value", ["=1+1", "+1", "@sum", "-x", "[4,6]"])
def test_no_text_of_a_table_is_a_formula(tmp_path, value):
    write_run(tmp_path / "logs" / "a", 0, {"fac_eval": 0.5}, model=value)
    (row,) = collect(tmp_path, tmp_path / "logs", "--config_variables", "model")
    assert row["_config"] == (value if value == "[4,6]" else f"'{value}")


@pytest.mark.parametrize("columns", [60, 400])
def test_the_screen_has_a_row_a_score_where_it_is_narrow(tmp_path, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    for n in range(2):
        write_run(tmp_path / "logs" / "a", n, {"fac_eval": 0.5 + n, "discrete_mig": 0.1, "SAP_score": 0.2 * n})
    collect(tmp_path, tmp_path / "logs")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= columns
    assert any(line.split()[:1] == ["SAP"] for line in lines) == (columns == 60)
    assert any("lie_group-dsprites (n = 2)" in line for line in lines)


def test_group_by_an_argument_gathers_runs_from_anywhere(tmp_path):
    for seed in range(3):
        for model in ("lie_group", "vae"):
            write_run(tmp_path / "logs" / f"{model}_{seed}", 0, {"fac_eval": seed / 4}, model=model, seed=seed)
    rows = collect(tmp_path, tmp_path / "logs", "--group-by", "model")
    assert [(row["_config"], row["n_samples"], row["fac.mean"], row["path"]) for row in rows] == [
        ("lie_group", "3", "0.250", str(tmp_path / "logs")),
        ("vae", "3", "0.250", str(tmp_path / "logs")),
    ]
    assert len(collect(tmp_path, tmp_path / "logs", "--group_by", "['seed', model]")) == 6
    rows = collect(tmp_path, tmp_path / "logs", "--group_by", "model", "--config_variables", "model,seed")
    assert [(row["_config"], row["n_samples"]) for row in rows] == [("lie_group-0/1/2", "3"), ("vae-0/1/2", "3")]


def test_the_path_of_runs_with_nothing_in_common_is_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for n, folder in enumerate((Path(), Path("a"))):
        write_run(folder, n, {"fac_eval": 0.5})
    (row,) = collect(tmp_path, Path(), "--group-by", "model")
    assert row["path"] == "." and row["n_samples"] == "2"


def test_group_by_keeps_arguments_apart_whose_joined_values_are_equal(tmp_path):
    write_run(tmp_path / "logs" / "a", 0, {"fac_eval": 0.2}, model="a-b", dataset="c")
    write_run(tmp_path / "logs" / "b", 0, {"fac_eval": 0.8}, model="a", dataset="b-c")
    rows = collect(tmp_path, tmp_path / "logs", "--group-by", "model,dataset")
    assert [(row["_config"], row["fac.mean"]) for row in rows] == [("a-b-c", "0.800"), ("a-b-c", "0.200")]


@pytest.mark.parametrize("name", ["scores.json", "args.json", "log_metrics.txt", "checkpoints/model.pt"])
def test_a_file_of_a_run_is_no_output(tmp_path, capsys, name):
    run = write_run(tmp_path / "logs" / "a", 0, {"fac_eval": 0.5})
    (run / name).write_text("kept")
    command = f"--in_dir={tmp_path / 'logs'}"
    error = refused(capsys, command, f"--result_file={run / name}")
    assert "is a file of a run, which would be replaced: name another" in error
    assert (run / name).read_text() == "kept"
    assert collect_results.main([command, f"--result_file={run / 'table.csv'}"]) == 0  # a new name


def test_a_file_of_the_authors_run_is_no_output(tmp_path, capsys):
    theirs = tmp_path / "authors" / "checkpoints"
    theirs.mkdir(parents=True)
    for kept in ("args.pt", "model.pt"):
        (theirs / kept).write_text("kept")
        refused(capsys, f"--in_dir={tmp_path}", f"--result_file={theirs / kept}")


def test_a_device_or_a_pipe_is_written_to_and_not_replaced(tmp_path):
    write_run(tmp_path / "logs" / "a", 0, {"fac_eval": 0.5})
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert collect_results.main([f"--in_dir={tmp_path / 'logs'}", f"--result_file={tmp_path / 'pipe'}"]) == 0
    assert os.read(reader, 2**16).startswith(b"_config,") and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    os.close(reader)
    assert collect_results.main([f"--in_dir={tmp_path / 'logs'}", "--result_file=/dev/null"]) == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
