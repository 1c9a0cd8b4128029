"""`python -m metrics`: tables in files, a table on the screen, JSON; bad input costs one line and status 2."""

import json

import metric_cases as cases
import numpy as np
import pytest

from metrics import METRICS, evaluate
from metrics.cli import main

SIZES = (3, 4)
FACTORS = np.tile(cases.all_factors(SIZES), (10, 1))
CODES = cases.scaled(FACTORS, SIZES) + 0.1 * np.random.default_rng(0).standard_normal(FACTORS.shape)


@pytest.fixture
def codes_file(tmp_path):
    np.savez(tmp_path / "codes.npz", z=CODES, factors=FACTORS)
    return str(tmp_path / "codes.npz")


def test_prints_a_table_and_writes_json(codes_file, tmp_path, capsys):
    assert main([codes_file, "--factors", "factors", "--metrics", "mig", "sap", "--seed", "3"]) == 0
    written = json.loads((tmp_path / "codes.scores.json").read_text())
    assert written["scores"] == evaluate(CODES, FACTORS, ["mig", "sap"], seed=3)
    assert written["protocol"]["seed"] == 3
    assert written["protocol"]["preset"] == "full"
    assert f"{written['scores']['SAP_score']:.4f}" in capsys.readouterr().out


def test_factors_may_come_from_npy_npz_and_csv_files(codes_file, tmp_path):
    np.save(tmp_path / "f.npy", FACTORS)
    np.savez(tmp_path / "f.npz", factors=FACTORS, other=CODES)
    np.savetxt(tmp_path / "f.csv", FACTORS, delimiter=",", header="shape,scale", comments="")
    results = []
    for name in ("f.npy", "f.npz", "f.csv"):
        out = tmp_path / f"{name}.json"
        assert main([codes_file, "--factors", str(tmp_path / name), "--metrics", "mig", "--json", str(out)]) == 0
        results.append(json.loads(out.read_text())["scores"])
    assert results[0] == results[1] == results[2]


def test_list_names_every_metric_and_output(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in METRICS)
    assert all(output in printed for metric in METRICS.values() for output in metric.outputs)


def test_bootstrap_prints_a_standard_error_beside_each_score(codes_file, tmp_path, capsys):
    assert main([codes_file, "--factors", "factors", "--metrics", "sap", "--bootstrap", "3"]) == 0
    assert "+-" in capsys.readouterr().out
    assert json.loads((tmp_path / "codes.scores.json").read_text())["scores"]["SAP_score_se"] > 0


def test_udr_compares_the_codes_of_several_runs(codes_file, tmp_path):
    np.save(tmp_path / "other.npy", CODES[:, ::-1])
    assert main([codes_file, str(tmp_path / "other.npy"), "--factors", "factors", "--metrics", "udr"]) == 0
    assert json.loads((tmp_path / "codes.scores.json").read_text())["scores"]["UDR"] > 0.8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["CODES", "--factors", "factors", "--metrics", "migg"], "unknown metric 'migg'"),
        (["CODES", "--factors", "nowhere"], "--factors nowhere"),
        (["CODES"], "--factors is missing"),
        ([], "no codes given"),
        (["absent.npz", "--factors", "f"], "no such file"),
        (["pickled.npz", "--factors", "f"], "not a readable"),
        (["text.npz", "--factors", "f"], "not a readable"),
        (["nan.npz", "--factors", "factors", "--metrics", "mig"], "NaN"),
        (["CODES", "--factors", "factors", "--codes-name", "mu"], "--codes-name mu"),
        (["CODES", "--factors", "factors", "--metrics", "reconstruction"], "needs a decoder"),
        (["CODES", "--factors", "factors", "--preset", "slow"], "preset 'slow'"),
        (["CODES", "--factors", "factors", "--seed", "-1"], "seed is -1"),
        (["CODES", "--factors", "factors", "--metrics", "mig", "--points", "1"], "train_points"),
        (["CODES", "CODES", "--factors", "factors", "--metrics", "mig"], "udr only"),
    ],
)
def test_bad_input_costs_one_line_and_status_2(codes_file, tmp_path, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    np.savez("pickled.npz", z=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez("nan.npz", z=np.where(CODES > 1, np.nan, CODES), factors=FACTORS)
    assert main([codes_file if word == "CODES" else word for word in arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ")
    assert says in complaint
    assert complaint.count("\n") == 1
