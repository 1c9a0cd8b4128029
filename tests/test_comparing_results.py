"""Tables of runs compare what is comparable: paired differences, bests, notes."""

import csv
import json
import math
import os
from pathlib import Path

import pytest

from tests.test_collect_results import collect, refused, write_run, written


@pytest.fixture
def two_models(tmp_path) -> Path:
    gaps = [0.10, 0.20, 0.30]
    for seed, gap in enumerate(gaps):
        write_run(tmp_path / "logs" / "lie", seed, {"fac_eval": 0.5 + gap, "factor_leakage_mean": 0.2}, seed=seed)
        write_run(
            tmp_path / "logs" / "vae", seed, {"fac_eval": 0.5, "factor_leakage_mean": 0.1}, model="vae", seed=seed
        )
    write_run(tmp_path / "logs" / "vae", 9, {"fac_eval": 0.0}, model="vae", seed=99)
    return tmp_path / "logs"


def test_a_comparison_without_finished_runs_is_refused_in_one_line(tmp_path, capsys):
    error = refused(capsys, f"--in_dir={tmp_path}", f"--result_file={tmp_path / 't.csv'}", "--compare", "lie", "dip")
    assert error == "--compare lie: there is no finished run with scores to compare"


def test_paired_comparison_over_common_seeds(tmp_path, two_models, capsys):
    collect(tmp_path, two_models, "--compare", "lie_group-dsprites", "vae")
    with open(tmp_path / "table.paired.csv", newline="") as file:
        found = {row["score"]: row for row in csv.DictReader(file)}
    half = 4.302652729911275 * 0.1 / math.sqrt(3)  # t quantile 0.975 for two degrees of freedom
    assert found["fac"]["difference"] == "0.200" and found["fac"]["n_seeds"] == "3"
    assert found["fac"]["ci95.low"] == f"{0.2 - half:.3f}" and found["fac"]["ci95.high"] == f"{0.2 + half:.3f}"
    assert found["sap"] == {"score": "sap", "difference": "-", "ci95.low": "-", "ci95.high": "-", "n_seeds": "0"}
    collect(tmp_path, two_models, "--compare", "vae", "lie")
    assert "vae-dsprites minus lie_group-dsprites" in capsys.readouterr().out
    collect(tmp_path, two_models, "--compare", f"{two_models}/vae/", f"{two_models}//lie")  # as shells complete them
    assert "vae-dsprites minus lie_group-dsprites" in capsys.readouterr().out
    assert "\nfac,-0.200," in (tmp_path / "table.paired.csv").read_text()


def test_rows_that_share_a_config_are_compared_by_their_paths(tmp_path, capsys):
    for name in ("a", "b"):
        write_run(tmp_path / "logs" / name, 0, {"fac_eval": 0.5})
    collect(tmp_path, tmp_path / "logs", "--compare", "b", "a")
    assert f"{tmp_path}/logs/b minus {tmp_path}/logs/a, over common seeds" in capsys.readouterr().out


def test_where_all_rows_are_alike_none_is_marked_and_zero_has_no_sign(tmp_path):
    for model in ("a|c", "b"):
        write_run(tmp_path / "logs" / model, 0, {"fac_eval": -0.0, "discrete_mig": -0.0001}, model=model)
    text = written(tmp_path, tmp_path / "logs", "--format=markdown")
    assert "**" not in text and "-0.000" not in text and text.count("0.000") == 4
    assert "| a\\|c-dsprites (n = 1) | " in text  # no end of a cell


def test_the_best_is_marked_among_the_rows_of_one_data_set(tmp_path):
    for dataset, low, high in (("dsprites", 0.1, 0.2), ("shapes3d", 0.7, 0.8)):
        for model, value in (("a", low), ("b", high)):
            scores = {"fac_eval": value, "fac_num_act": 10 * value}  # neither more nor fewer latents are better
            for n in range(3):
                write_run(tmp_path / "logs" / f"{dataset}_{model}", n, scores, model=model, dataset=dataset)
        for n in range(2):  # too few to be the best
            write_run(tmp_path / "logs" / f"{dataset}_c", n, {"fac_eval": 0.99}, model="c", dataset=dataset)
    for n in range(3):
        write_run(tmp_path / "logs" / "alone", n, {"fac_eval": 0.9}, dataset="cars3d")
    text = written(tmp_path, tmp_path / "logs", "--format=markdown")
    assert text.count("**") == 4 and "**0.200 ± 0.000**" in text and "**0.800 ± 0.000**" in text


def test_a_row_of_scores_measured_in_different_ways_or_of_one_seed_twice_is_told(tmp_path, capsys):
    usual = {"dataset": "dsprites", "preset": "full", "data_source": "replica", "images": 9}
    for n, differing in enumerate([{}, {"preset": "fast"}, {"data_source": "file.npz"}]):
        write_run(tmp_path / "logs" / "mixed", n, {"fac_eval": 0.5}, protocol=usual | differing, seed=n // 2)
        write_run(tmp_path / "logs" / "alike", n, {"fac_eval": 0.5}, protocol=usual)
    collect(tmp_path, tmp_path / "logs")
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("mixed): ")[2] for line in lines] == [
        "scores of different data_source (file.npz, replica) are averaged",
        "scores of different preset (fast, full) are averaged",
        "more than one run has seed 0; each counts",
    ]


def test_a_mean_over_other_arguments_or_lengths_of_training_is_told(tmp_path, capsys):
    for n, (weight, step) in enumerate([(0, 10), (40, 100), (40, 100)]):
        args = {"seed": n, "hy_hes": weight, "device": "cpu" if n else "cuda"}
        write_run(tmp_path / "logs" / "some", n, {"fac_eval": 0.5}, protocol={"step": step}, **args)
    collect(tmp_path, tmp_path / "logs")
    assert [line.partition("some): ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "scores of different step (10, 100) are averaged",
        "runs of different arguments are averaged: hy_hes (0, 40)",
    ]


def test_means_of_fewer_runs_than_the_row_has_are_told(tmp_path, capsys):
    for seed, mig in enumerate((0.2, 0.4, math.nan)):
        write_run(tmp_path / "logs" / "some", seed, {"fac_eval": 0.5, "discrete_mig": mig}, seed=seed)
    (row,) = collect(tmp_path, tmp_path / "logs")
    assert (row["mig.mean"], row["n_samples"]) == ("0.300", "3")
    assert "means are of fewer runs than the others: mig (2)\n" in capsys.readouterr().err


def test_a_comparison_of_scores_measured_in_different_ways_is_told(tmp_path, capsys):
    for n, preset in enumerate(("full", "fast")):
        protocol = {"dataset": "dsprites", "preset": preset}
        write_run(tmp_path / "logs" / str(n), 0, {"fac_eval": 0.5}, protocol=protocol, model=preset)
    collect(tmp_path, tmp_path / "logs", "--compare", "0", "1")
    told = "full-dsprites and fast-dsprites were scored on dsprites, full and on dsprites, fast: these differ, too"
    assert capsys.readouterr().err == f"note: {told}\n"
    collect(tmp_path, tmp_path / "logs", "--compare", "0", "0")
    assert not capsys.readouterr().err


def test_runs_whose_latents_are_all_unused_are_told(tmp_path, capsys):
    for seed, active in enumerate((0, 5, 0)):
        write_run(tmp_path / "logs" / "some", seed, {"fac_eval": 0.0, "fac_num_act": active}, seed=seed)
    collect(tmp_path, tmp_path / "logs")
    assert "some): 2 of 3 runs have no active latent" in capsys.readouterr().err


def test_scores_of_another_preset_or_of_other_own_images_are_not_compared_for_the_best(tmp_path):
    usual = {"dataset": "arrays", "preset": "full", "data_source": "a.npz", "images": 9}
    for n, differing in enumerate([{}, {}, {"preset": "fast"}, {"data_source": "b.npz"}, {"images": 8}]):
        for seed in range(3):
            scores = {"fac_eval": 0.1 + n / 10}
            write_run(tmp_path / "logs" / str(n), seed, scores, protocol=usual | differing, dataset="arrays")
    text = written(tmp_path, tmp_path / "logs", "--format=markdown")
    assert "**0.200 ± 0.000**" in text and text.count("**") == 2


def test_comparing_a_row_that_is_not_there_names_those_that_are(tmp_path, two_models, capsys):
    flags = [f"--in_dir={two_models}", f"--result_file={tmp_path / 't.csv'}", "--compare"]
    assert "lie_group-dsprites" in refused(capsys, *flags, "lie", "dip")
    write_run(two_models / "lie2", 0, {"fac_eval": 0.5})
    error = refused(capsys, *flags, "lie_group-dsprites", "vae")
    assert "--compare lie_group-dsprites names 2 rows; give the _config or path of one" in error


def test_markdown_and_latex_mark_the_best(tmp_path, two_models):
    for name, bold, sign in (("markdown", "**{}**", "±"), ("latex", "\\textbf{{{}}}", "$\\pm$")):
        text = written(tmp_path, two_models, f"--format={name}")
        assert bold.format(f"0.700 {sign} 0.100") in text and text.count("0.375") == 1
        assert bold.format(f"0.100 {sign} 0.000") in text  # leakage: less is better
        assert text.count("\n") == 4 if name == "markdown" else "lie\\_group" in text


def test_no_latex_row_starts_like_an_option(tmp_path, two_models):
    write_run(two_models / "list", 0, {"fac_eval": 0.5}, latents=[4, 6])
    rows = written(tmp_path, two_models, "--format=latex", "--group-by=latents").splitlines()
    assert any(row.startswith("{[}4,6] (n = 1) & ") for row in rows) and not any(row.startswith("[") for row in rows)


def test_two_pairs_have_no_interval(tmp_path):
    for seed, gap in enumerate((0.1, 0.3)):
        write_run(tmp_path / "logs" / "lie", seed, {"fac_eval": 0.5 + gap}, seed=seed)
        write_run(tmp_path / "logs" / "vae", seed, {"fac_eval": 0.5}, model="vae", seed=seed)
    collect(tmp_path, tmp_path / "logs", "--compare", "lie", "vae")
    assert "\nfac,0.200,-,-,2\n" in (tmp_path / "table.paired.csv").read_text()


@pytest.mark.parametrize("touched", [0, 1])
def test_of_a_seed_the_run_started_last_is_compared_whichever_file_is_newer(tmp_path, capsys, touched):
    """Copying without times, and --evaluate, change the times of files."""
    for number, (value, started) in enumerate([(0.9, "2026-02-01T00:00:00Z"), (0.6, "2026-01-01T00:00:00Z")]):
        run = write_run(tmp_path / "logs" / "lie", number, {"fac_eval": value}, seed=0)
        (run / "status.json").write_text(json.dumps({"state": "finished", "sessions": [{"started": started}]}))
    write_run(tmp_path / "logs" / "vae", 0, {"fac_eval": 0.5}, model="vae", seed=0)
    newer = tmp_path / "logs" / "lie" / f"version_{touched}" / "log_metrics.txt"
    os.utime(newer, (2e9, 2e9))
    collect(tmp_path, tmp_path / "logs", "--compare", "lie", "vae")
    assert "\nfac,0.400,-,-,1\n" in (tmp_path / "table.paired.csv").read_text()
    assert "version_0, started last, is used" in capsys.readouterr().err
