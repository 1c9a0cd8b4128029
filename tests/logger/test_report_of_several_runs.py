"""The report that compares runs."""

import json
from pathlib import Path

import pytest
from PIL import Image
from report_pages import check_page, log, text_of, titles_of, write_run, written

from logger import find_runs, read_run, report
from logger.catalogue import PICTURES
from logger.report import comparison
from logger.report.__main__ import main
from system.errors import UserError

pytestmark = pytest.mark.usefixtures("cheap_pictures")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    values = {40: (0.7, 0.8), 0: (0.4, 0.5, 0.6)}
    for hes, scores in values.items():
        for seed, score in enumerate(scores):
            write_run(folder / f"hes{hes}" / f"version_{seed}", {"fac_eval": score}, hy_hes=hes, seed=seed)
    return folder


def differing(folder: Path) -> list[str]:
    """What tells each run of the folder from those of other groups."""
    return comparison.grouped([read_run(path) for path in find_runs([folder])])[0]


def test_comparison_has_means_and_deviations_by_group(sweep):
    assert written(sweep) == sweep / "report.html"
    text = text_of(sweep)
    assert "hy_hes 40" in text and "hy_hes 0" in text
    assert "0.750 ± 0.071 (2)" in text and "0.500 ± 0.100 (3)" in text
    assert "5 runs in 2 groups" in text
    assert "FactorVAE score" not in titles_of(sweep)  # scored once


def test_runs_that_differ_in_seed_alone_are_one_group(sweep):
    names, shared = comparison.grouped([read_run(path) for path in find_runs([sweep / "hes0"])])
    assert names == ["all runs"] * 3
    assert shared["hy_hes"] == 0 and "seed" not in shared


def test_a_seed_that_counts_twice_is_told(tmp_path):
    for n, seed in enumerate((3, 3, 4)):
        write_run(tmp_path / f"version_{n}", {"fac_eval": 0.5}, drawn=False, seed=seed)
    assert "A: more than one run has seed 3; each counts." in text_of(tmp_path)


def test_groups_that_were_scored_in_different_ways_are_told(tmp_path):
    for weight, preset in ((0, "fast"), (40, "full")):
        run = write_run(tmp_path / str(weight) / "version_0", {}, drawn=False, hy_hes=weight)
        protocol = {"preset": preset, "dataset": "dsprites", "data_source": "replica", "images": 9}
        (run / "scores.json").write_text(json.dumps({"scores": {"fac_eval": 0.5}, "protocol": protocol}))
    write_run(tmp_path / "20" / "version_0", drawn=False, hy_hes=20)  # was not scored
    told = "A: dsprites, replica, 9 images, fast; C: dsprites, replica, 9 images, full."
    assert told in text_of(tmp_path)
    assert "different ways" not in text_of(tmp_path / "0", tmp_path / "20")


def test_unfinished_runs_are_told(tmp_path):
    runs = [write_run(tmp_path / f"version_{n}", {"fac_eval": 0.5}, drawn=False, seed=n) for n in range(2)]
    (runs[0] / "status.json").write_text('{"state": "interrupted"}')
    assert "A: 1 of 2 runs not finished." in text_of(tmp_path)


def test_what_cannot_be_read_is_named_and_does_not_stop_the_rest(tmp_path, capsys):
    logs, picture = tmp_path / "logs", PICTURES["traversals"].file
    good, bad, torn = (write_run(logs / f"version_{n}", {"fac_eval": 0.5}, drawn=False, seed=n) for n in range(3))
    (bad / "args.json").write_text('{"model": ')
    Image.new("RGB", (900, 40)).save(good / picture)
    (torn / picture).write_bytes((good / picture).read_bytes()[:60])
    assert main([str(logs)]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{bad}: ") and captured.err.count("\n") == 1 and "1 left out" in captured.out
    text = " ".join(check_page(logs / "report.html").text)
    assert "2 runs in 1 group" in text and f"1 left out. {bad}: " in text
    assert "traversals.png cannot be read" in text
    assert "traversals.png cannot be read" in text_of(torn)


def test_a_comparison_has_paired_differences_with_intervals(tmp_path):
    values = {"lie_group": (0.6, 0.7, 0.8), "vae": (0.5, 0.5, 0.5), "beta_celeb": (0.5,)}
    for model, scores in values.items():
        for seed, score in enumerate(scores):
            write_run(tmp_path / model / f"version_{seed}", {"fac_eval": score}, drawn=False, model=model, seed=seed)
    both = [tmp_path / "lie_group", tmp_path / "vae"]
    half = 4.302652729911275 * 0.1 / 3**0.5  # t quantile 0.975 for two degrees of freedom
    assert f"-0.200 [{-0.2 - half:+.3f}, {-0.2 + half:+.3f}] to A, 3 seeds" in text_of(*both)
    assert main([*map(str, both), "--baseline", "b"]) == 0
    text = " ".join(check_page(both[0] / "report.html").text)
    assert f"+0.200 [{0.2 - half:+.3f}, {0.2 + half:+.3f}] to B, 3 seeds" in text
    assert "to A, 1" not in text_of(tmp_path / "lie_group", tmp_path / "beta_celeb")  # one common seed: no difference
    with pytest.raises(UserError, match="--baseline Z: there is no such group; choose from A, B"):
        report.write_report(both, baseline="Z")


def test_scores_of_every_epoch_are_drawn_over_training(tmp_path):
    for n in range(2):
        run = write_run(tmp_path / f"version_{n}", {"fac_eval": 0.5}, seed=n)
        for step, score in ((100, 0.25), (200, 0.5)):
            log(run, step, **{"dmetric/fac_eval": score})
    assert "FactorVAE score" in titles_of(run) and "FactorVAE score" in titles_of(tmp_path)


def test_flags_that_change_no_result_split_no_group_and_close_values_join_none(tmp_path):
    flags = {
        "resume": ("no", "auto"),
        "checkpoint_steps": (None, 5),
        "keep_epochs": (None, 1),
        "compile": (False, True),
    }
    for name, values in flags.items():
        for i, value in enumerate(values):
            write_run(tmp_path / "alike" / f"{name}_{i}", drawn=False, **{name: value})
    assert set(differing(tmp_path / "alike")) == {"all runs"}
    for i, value in enumerate((0.1234567, 0.1234568)):
        write_run(tmp_path / "close" / f"beta_{i}", drawn=False, beta=value)
    assert len(set(differing(tmp_path / "close"))) == 2
