"""The report of one run."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from report_pages import check_page, log, text_of, titles_of, write_run, written

from logger import read_run, score_guide
from logger.catalogue import PICTURES
from logger.report.__main__ import main
from metrics.info import GROUPS, HEADLINES, INFORMATION, SCORES
from system.errors import UserError


def test_report_of_a_run_is_one_valid_page_without_outside_references(tmp_path):
    path = write_run(tmp_path / "version_0", {"fac_eval": 0.5, "SAP_score": 0.25, "mine": 0.125})
    assert len(titles_of(path)) == 6  # loss, reconstruction, KL, KL of each latent, two pictures
    text = text_of(path)
    headings = ["What each latent does", "Scores", "Learning curves", "More", "Symmetries", "5 arguments"]
    assert [text.index(heading) for heading in headings] == sorted(text.index(heading) for heading in headings)
    assert "are a replica" in text


def test_the_top_names_command_changes_length_and_machine(tmp_path):
    path = write_run(tmp_path / "version_0", hy_hes=3.0)
    session = {"started": "2026-01-31T12:00:00Z", "stopped": "2026-01-31T12:06:00Z", "processor": "a CPU"}
    session |= {"device": "cpu", "precision": "bf16", "revision": "0123456789abcdef"}
    session |= {"command": "python main.py --hy_hes 3", "changed": {"hy_hes": 3.0, "log_path": "logs"}}
    (path / "status.json").write_text(json.dumps({"state": "interrupted", "sessions": [session]}))
    text = text_of(path)
    assert "seed 1; 380 steps of 64 images; loss validation 1.00; 2026-01-31 12:00 UTC, 6.0 min" in text
    assert "a CPU, cpu, bf16; code 012345678. python main.py --hy_hes 3 Not at their default: hy_hes 3.0 ." in text
    assert "The run is interrupted." in text


@pytest.mark.parametrize(
    ("product", "weights", "said"),
    [
        ("beta kl", {"beta": 5.0}, "kl beta = 5 3.8000 19 99%"),
        ("hy_dip lambda_d kl", {"hy_dip": 2.0, "lambda_d": 5.0}, "kl hy_dip lambda_d = 10 3.8000 38 99%"),
    ],
)
def test_terms_of_the_loss_stand_with_their_weighted_shares(tmp_path, product, weights, said):
    path = write_run(tmp_path / "version_0", **weights)  # train/recon ends at 0.26, train/kl at 3.8
    session = {"started": "2026-01-31T12:00:00Z", "equation": f"recon + {product} + hy_hes hessian"}
    (path / "status.json").write_text(json.dumps({"state": "finished", "sessions": [session]}))
    text = text_of(path)
    assert "recon 1 0.2632 0.2632 1%" in text and said in text and "hessian hy_hes" not in text


@pytest.mark.parametrize(
    ("product", "said"),
    [
        (0.005, "the Hessian penalty has done its work"),
        (0.1, "smaller, but not zero"),
        (0.31, "0.310, of random matrices: 0.316: not zero"),
    ],
)
def test_the_numbers_of_the_group_have_a_verdict(tmp_path, product, said):
    values = {"product_norm_random": 0.316, "product_norm_relative": product, "commutator_norm_relative": 0.4}
    values |= {"decomposition_error_relative": 0.01}
    path = write_run(tmp_path / "version_0", drawn=False)
    log(path, 20, **{f"algebra/{name}": value for name, value in values.items()})
    text = text_of(path)
    assert said in text and "[A_i, A_j]: 0.400, of random matrices: 0.447: not commutative." in text
    assert "one latent is one one-parameter subgroup" in text


@pytest.mark.parametrize(("latents", "said"), [(10, "Named by their last KL"), (11, "11 latents, too many to name")])
def test_the_kl_legend_names_all_latents_or_none(latents, said, tmp_path):
    path = write_run(tmp_path / "run", drawn=False)
    for step in (20, 40):
        log(path, step, **{f"train_kl_per_latent/{latent:02d}": 0.5 for latent in range(latents)})
    assert said in text_of(path)


@pytest.mark.parametrize("last", [float("inf"), float("nan")])
def test_curves_leave_out_what_is_not_finite(last, tmp_path):
    for n in range(2):
        path = write_run(tmp_path / f"version_{n}", drawn=False)
        for step in range(12):
            log(path, step, **{"validation/loss": last if step > 10 else 1 + step})
        log(path, 20, **{"validation/never": last, "train/loss": last if n else 1})
    assert titles_of(path) == ["Loss"]
    assert titles_of(tmp_path) == []  # of the training loss, one value


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("values", "told"), [([3.0] * 40, False), ([300.0, *range(39)], True), ([300.0] + [3.0] * 39, True)]
)
def test_a_curve_whose_first_values_are_cut_says_so_and_a_constant_one_does_not(tmp_path, values, told):
    path = write_run(tmp_path / "run", drawn=False)
    for step, value in enumerate(values):
        log(path, step, **{"train/total_correlation": value})
    assert ("The highest values, most of them of the first steps, are cut." in text_of(path)) == told


def test_runs_without_a_common_step_have_no_common_curve(tmp_path):
    for n in range(2):
        path = write_run(tmp_path / f"version_{n}", drawn=False)
        for step in (1000 * n + 20, 1000 * n + 40):
            log(path, step, **{"train/loss": 1.0})
    assert titles_of(path) == ["Loss"] and titles_of(tmp_path) == []


def test_published_scores_stand_beside_a_run_of_their_data_set_and_model_only(tmp_path):
    others = {"match": {}, "model": {"model": "factor_vae"}, "data": {"dataset": "squares", "data_source": "file.npz"}}
    pages = {
        name: text_of(write_run(tmp_path / name, {"fac_eval": 0.5}, drawn=False, **args))
        for name, args in others.items()
    }
    assert "0.861 ± 0.020" in pages["match"] and "0.823 ± 0.056" in pages["match"]
    assert "0.861" not in pages["model"] and "0.861" not in pages["data"]
    assert "are a replica" not in pages["data"]


def test_markup_in_arguments_is_text(tmp_path):
    evil = "<script>alert('1')</script>\"'&"
    path = write_run(tmp_path / "version_0", {"<b>score</b>": 1.0}, drawn=False, data_path=evil, dataset=evil)
    assert evil in text_of(path)  # refuses scripts


def test_a_run_without_scores_and_pictures_still_has_a_report(tmp_path):
    (tmp_path / "args.json").write_text("{}")
    text = text_of(tmp_path)
    assert "No scores were taken" in text and "No curves were logged" in text
    assert "The group" not in text and "What each latent does" not in text  # no heading without content


def test_bad_paths_are_one_line_and_exit_status_2(tmp_path, capsys):
    for paths in ([tmp_path], [tmp_path / "none"]):
        assert main([str(path) for path in paths]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
    with pytest.raises(UserError, match="is not a run: neither args.json"):
        read_run(tmp_path)
    (tmp_path / "args.json").write_text("{")
    with pytest.raises(UserError, match="no valid JSON"):
        read_run(tmp_path)


def test_output_goes_where_it_is_told(tmp_path, capsys):
    run = write_run(tmp_path / "version_0", drawn=False)
    assert main([str(run), "--output", str(tmp_path / "new" / "page.html")]) == 0
    assert (tmp_path / "new" / "page.html").is_file() and not (run / "report.html").exists()
    for wrong in (run, run / "args.json" / "page.html"):
        assert main([str(run), "--output", str(wrong)]) == 2
        assert capsys.readouterr().err.startswith(f"error: --output {wrong}")


def test_published_values_are_fractions_with_a_named_source():
    for key, score in SCORES.items():
        for (source, _, _), value in score.published.items():
            assert 0 < value.deviation < value.mean < 1 and source in score_guide.SOURCES
            assert key in HEADLINES  # the table that has them beside


def test_every_picture_is_described_in_the_documents():
    text = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")
    for picture in PICTURES.values():
        assert f"`{picture.file}`" in text and f"`{picture.tag}`" in text


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("scores.json", '{"scores": {"fac_eval": "high"}}'),
        ("scores.json", '{"scores": {"fac_eval": null}}'),
        ("scores.json", '{"scores": [], "protocol": 3}'),
        ("scores.json", "[]"),
        ("args.json", "[]"),
        ("scalars.csv", "a,b\n1,2\n"),
    ],
)
def test_a_damaged_record_is_one_line_that_names_it(tmp_path, file, content, capsys):
    path = write_run(tmp_path / "version_0", {"fac_eval": 0.5}, drawn=False)
    (path / file).write_text(content)
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert str(path / file) in error and error.count("\n") == 1


def test_arguments_of_any_kind_are_shown(tmp_path):
    odd = {"model": ["a"], "dataset": {"b": 1}, "seed": [1], "data_source": ["x"], "batch_size": None, "hy_hes": "much"}
    for n, (name, value) in enumerate(odd.items()):
        write_run(tmp_path / f"version_{n}", {"fac_eval": 0.5}, drawn=False, **{name: value})
    check_page(written(tmp_path))
    text = text_of(write_run(tmp_path / "all", {"fac_eval": 0.5}, drawn=False, **odd))
    assert all(str(value) in text for value in odd.values())


def test_runs_of_the_authors_code_have_a_report_with_curves_from_their_log(tmp_path):
    for n in range(2):
        run = tmp_path / "theirs" / f"version_{n}"
        (run / "checkpoints").mkdir(parents=True)
        recorded = argparse.Namespace(model="lie_group", dataset="dsprites", hy_hes=40.0)
        torch.save(recorded, run / "checkpoints" / "args.pt")
        lines = [f"metric/loss : {90 / epoch}\nmetric/kl : {epoch}\n" for epoch in (1, 2, 3)]
        (run / "log_metrics.txt").write_text("".join(lines) + f"dmetric/fac_eval : {0.5 + n / 4}\n")
    read = read_run(run)
    assert read.args["hy_hes"] == 40.0 and read.scores == {"fac_eval": 0.75} and read.state == "unknown"
    assert list(read.curve("validation/loss").value) == [90, 45, 30]
    assert "Loss" in titles_of(run)
    assert "0.7500" in text_of(run) and "0.861 ± 0.020" in text_of(run)
    assert "0.625 ± 0.177 (2)" in text_of(tmp_path / "theirs")


def test_scores_stand_under_their_question_with_direction_and_ideal(tmp_path):
    scores = {"fac_eval": 0.5, "reconstruction_error": 20.0, "mine": 0.125, "fac_num_act": 0.0}
    text = text_of(write_run(tmp_path / "version_0", scores, drawn=False))
    assert "0.5000 not meaningful: no latent is active ↑ 1 0.861 ± 0.020" in text and " 20 ↓ 0" in text
    assert text.index("FactorVAE score") < text.index(INFORMATION) < text.index("reconstruction error")
    assert text.index("reconstruction error") < text.index(score_guide.OTHER) < text.index("mine")


def test_every_declared_score_stands_once_under_its_question_or_among_the_papers():
    groups = score_guide.grouped(SCORES)
    assert sorted(score.key for group in groups.values() for score in group) == sorted(SCORES)
    declared = {key: score.group for key, score in SCORES.items() if key not in HEADLINES}
    assert {score.key: question for question in GROUPS for score in groups.get(question, ())} == declared


@pytest.mark.parametrize(("split", "told"), [(0, True), (0.1, False)])
def test_a_validation_on_training_images_is_called_so(tmp_path, split, told):
    text = text_of(write_run(tmp_path / "version_0", {"fac_eval": 0.5}, split=split))
    assert ("No image was held out (--split 0)" in text) == ("loss on training images" in text) == told
