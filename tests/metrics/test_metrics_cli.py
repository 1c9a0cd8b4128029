"""`python -m metrics`: tables in files, a table on the screen, JSON; bad input costs one line and status 2."""

import json
from pathlib import Path

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
    written = json.loads((tmp_path / "codes.npz.scores.json").read_text())
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


def test_the_array_factors_of_the_file_needs_no_flag(codes_file, tmp_path, capsys):
    assert main([codes_file, "--metrics", "sap"]) == 0
    written = json.loads((tmp_path / "codes.npz.scores.json").read_text())
    assert written["scores"] == evaluate(CODES, FACTORS, ["sap"])


def test_codes_alone_are_scored_by_what_needs_no_factors(tmp_path):
    np.save(tmp_path / "codes.npy", CODES)
    assert main([str(tmp_path / "codes.npy"), "--metrics", "unsupervised", "--bootstrap", "5"]) == 0
    written = json.loads((tmp_path / "codes.npy.scores.json").read_text())["scores"]
    assert written == evaluate(CODES, metrics=["unsupervised"], bootstrap=5)
    with_factors = evaluate(CODES, FACTORS, ["unsupervised"])
    assert {name: written[name] for name in with_factors} == with_factors
    assert evaluate(CODES).protocol["metrics"] == evaluate(CODES[:1]).protocol["metrics"] == ["unsupervised"]


def test_files_of_one_stem_keep_their_scores_apart(codes_file, tmp_path):
    np.save(tmp_path / "codes.npy", CODES[:, :1])
    for name in ("codes.npz", "codes.npy"):
        assert main([str(tmp_path / name), "--factors", codes_file, "--metrics", "sap"]) == 0
    first, second = (json.loads((tmp_path / f"codes.{kind}.scores.json").read_text()) for kind in ("npz", "npy"))
    assert first["protocol"]["shape"] == [len(CODES), 2] and second["protocol"]["shape"] == [len(CODES), 1]


def test_the_folder_of_the_json_file_is_made(codes_file, tmp_path):
    out = tmp_path / "new" / "folder" / "scores.json"
    assert main([codes_file, "--factors", "factors", "--metrics", "mig", "--json", str(out)]) == 0
    assert "discrete_mig" in json.loads(out.read_text())["scores"]


def test_a_json_file_that_cannot_be_written_is_noticed_before_the_work(codes_file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("metrics.cli.run", lambda *args: pytest.fail("scored"))
    for path, says in ((f"{codes_file}/scores.json", "cannot make the folder"), (str(tmp_path), "name a file")):
        assert main([codes_file, "--factors", "factors", "--json", path]) == 2
        complaint = capsys.readouterr().err
        assert complaint.startswith(f"error: --json {path}") and says in complaint and complaint.count("\n") == 1


def test_list_names_every_metric_and_output(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in METRICS)
    assert all(output in printed for metric in METRICS.values() for output in metric.keys)


def test_bootstrap_prints_a_standard_error_beside_each_score(codes_file, tmp_path, capsys):
    assert main([codes_file, "--factors", "factors", "--metrics", "sap", "--bootstrap", "3"]) == 0
    assert "+-" in capsys.readouterr().out
    assert json.loads((tmp_path / "codes.npz.scores.json").read_text())["scores"]["SAP_score_se"] > 0


def test_scores_do_not_replace_the_codes_that_they_are_of(codes_file, capsys):
    before = Path(codes_file).read_bytes()
    assert main([codes_file, "--factors", "factors", "--metrics", "sap", "--json", codes_file]) == 2
    assert "is a file that this command reads or writes otherwise: name another" in capsys.readouterr().err
    assert Path(codes_file).read_bytes() == before


def test_udr_refuses_the_codes_of_different_images(tmp_path, capsys):
    for name, first in (("a", 0), ("same", 0), ("other", 1)):
        np.savez(tmp_path / f"{name}.npz", codes=CODES, index=first + np.arange(len(CODES)))
    np.savez(tmp_path / "unknown.npz", codes=CODES)
    a, same, other, unknown = (str(tmp_path / f"{name}.npz") for name in ("a", "same", "other", "unknown"))
    assert main([a, same, unknown, "--metrics", "udr"]) == 0
    assert main([a, other, "--metrics", "udr"]) == 2
    assert "a.npz and " in (said := capsys.readouterr().err) and "different images, says their array index" in said
    np.savez(tmp_path / "same.npz", codes=CODES, index=np.arange(len(CODES)), data=np.array("arrays, b.npz"))
    np.savez(tmp_path / "a.npz", codes=CODES, index=np.arange(len(CODES)), data=np.array("arrays, a.npz"))
    assert main([a, same, "--metrics", "udr"]) == 2
    assert "different images, says their array data" in capsys.readouterr().err


def test_udr_compares_the_codes_of_several_runs(codes_file, tmp_path):
    np.save(tmp_path / "other.npy", CODES[:, ::-1])
    assert main([codes_file, str(tmp_path / "other.npy"), "--factors", "factors", "--metrics", "udr"]) == 0
    assert json.loads((tmp_path / "codes.npz.scores.json").read_text())["scores"]["UDR"] > 0.8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["CODES", "--factors", "factors", "--metrics", "migg"], "unknown metric 'migg'"),
        (["CODES", "--factors", "nowhere"], "--factors nowhere"),
        (["alone.npy"], "--factors is missing (only --metrics unsupervised and udr need none)"),
        (["alone.npy", "--metrics", "mig", "unsupervised"], "--factors is missing"),
        ([], "no codes given"),
        (["absent.npz", "--factors", "f"], "no such file"),
        (["pickled.npz", "--factors", "f"], "not a readable"),
        (["codes.h5", "--factors", "f"], "codes.h5: not a readable npz, npy or csv file of numbers (damaged"),
        (["flat.npz", "--factors", "f"], "flat.npz holds z [5]: name the table of codes [n, d]"),
        (["text.npz", "--factors", "f"], "not a readable"),
        (["nan.npz", "--factors", "factors", "--metrics", "mig"], "NaN"),
        (["CODES", "--factors", "factors", "--codes-name", "mu"], "--codes-name mu"),
        (["CODES", "--factors", "factors", "--metrics", "reconstruction"], "needs a decoder"),
        (["CODES", "--factors", "factors", "--preset", "slow"], "preset 'slow'"),
        (["CODES", "--factors", "factors", "--seed", "-1"], "seed is -1"),
        (["CODES", "--factors", "factors", "--metrics", "mig", "--points", "1"], "train_points"),
        (["CODES", "CODES", "--metrics", "mig"], "udr only"),
        (["CODES", "CODES", "--metrics", "udr", "mig"], "compute the other scores one file at a time"),
    ],
)
def test_bad_input_costs_one_line_and_status_2(codes_file, tmp_path, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    np.savez("pickled.npz", z=np.array([{}], dtype=object))
    Path("codes.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    np.savez("flat.npz", z=np.zeros(5))
    np.save("alone.npy", CODES)
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez("nan.npz", z=np.where(CODES > 1, np.nan, CODES), factors=FACTORS)
    assert main([codes_file if word == "CODES" else word for word in arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ")
    assert says in complaint
    assert complaint.count("\n") == 1


# Files


def written(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def scores_of(tmp_path, codes, factors, *more):
    out = tmp_path / "out.json"
    assert main([codes, "--factors", factors, "--metrics", "mig", "sap", "--json", str(out), *more]) == 0
    return json.loads(out.read_text())["scores"]


@pytest.mark.parametrize("other", ["2", "0.5"])
def test_true_and_false_are_two_classes_beside_columns_of_numbers(tmp_path, codes_file, other):
    lines = ["flag,size", *(f"{a > 0},{float(other) * b:g}" for a, b in FACTORS[:, :2])]
    given = written(tmp_path, "F.CSV", "\n".join(lines) + "\n")
    expected = evaluate(CODES, np.stack([FACTORS[:, 0] > 0, FACTORS[:, 1]], axis=1), ["mig", "sap"])
    assert scores_of(tmp_path, codes_file, given) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,x\n2,y\n", "column b holds text; keep numbers"),
        ("0.5,1.5\n-2,3\n", "has no header; name the columns"),
        ("a,b\n1,\n2,3\n", "rows hold NaN"),
        ("a,b\n1,2,3\n4,5,6\n", "not a readable"),  # a value more than names: no column is left out in silence
        (",a\n0,1\n1,2\n", "its first column is an index; put the rows into the order of the codes"),
        (",0,1\n0,1,2\n", "its first column is an index"),
        ("File,a\nx.png,1\ny.png,2\n", "its first column is an index"),
        ("", "not a readable"),
        ("a,b\n", "rows"),
    ],
)
def test_csv_files_that_are_no_tables_of_numbers_are_refused(tmp_path, codes_file, capsys, text, says):
    assert main([written(tmp_path, "z.csv", text), "--factors", codes_file, "--metrics", "mig"]) == 2
    complaint = capsys.readouterr().err
    assert says in complaint and complaint.count("\n") == 1


def test_the_record_names_the_metrics_that_were_computed(codes_file, tmp_path):
    assert main([codes_file, "--factors", "factors", "--preset", "fast", "--workers", "1"]) == 0
    written = json.loads((tmp_path / "codes.npz.scores.json").read_text())
    outputs = [output for name in written["protocol"]["metrics"] for output in METRICS[name].keys]
    few = {"IRS", "IRS_unweighted"}  # they need more rows
    assert sorted(set(outputs) - few) == sorted(written["scores"])


def run_codes(tmp_path, **arrays) -> str:
    np.savez(tmp_path / "run.npz", codes=CODES, **arrays)
    return str(tmp_path / "run.npz")


def test_codes_of_a_run_name_their_factors_and_what_is_left_out(tmp_path, capsys):
    codes = run_codes(tmp_path, factors=FACTORS, factor_names=np.array(["shape", "x"]), left_out=np.array(["shape"]))
    assert main([codes, "--metrics", "mig", "--json", str(tmp_path / "out.json")]) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["scores"] == evaluate(CODES, FACTORS, ["mig"], left_out=[0])
    assert found["protocol"]["left_out"] == ["shape"]
    kept = run_codes(tmp_path, factors=FACTORS, factor_names=np.array(["shape", "x"]), left_out=np.array([], str))
    assert main([kept, "--metrics", "mig", "--json", str(tmp_path / "out.json")]) == 0
    assert json.loads((tmp_path / "out.json").read_text())["scores"] == evaluate(CODES, FACTORS, ["mig"])
