"""Reports and reading runs back, on runs written as a training writes them."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from logger import find_runs, read_run, report, score_guide
from logger.catalogue import PICTURES, SECTIONS
from logger.report import comparison, published
from logger.report.__main__ import main
from metrics.metric import INFORMATION
from system.errors import UserError

VOID = {"img", "meta", "link", "br", "input"}


def write_run(path: Path, scores: dict | None = None, *, steps=range(20, 400, 20), loss=100.0, **args) -> Path:
    """A run directory with an event file, arguments, scores and two pictures."""
    from torch.utils.tensorboard import SummaryWriter

    path.mkdir(parents=True, exist_ok=True)
    defaults = {"model": "lie_group", "dataset": "dsprites", "data_source": "replica", "seed": 1, "batch_size": 64}
    (path / "args.json").write_text(json.dumps({**defaults, **args}))
    with SummaryWriter(str(path)) as writer:
        for step in steps:
            writer.add_scalar("train/loss", loss / step, step)
            writer.add_scalar("train/kl", step / 100, step)
            writer.add_scalar("train/recon", loss / step, step)
            writer.add_scalar("train_by_images_seen/loss", loss / step, 64 * step)
            writer.add_scalar("train_kl_per_latent/00", 1.0, step)
        writer.add_scalar("validation/loss", loss / 100, max(steps))
        writer.add_scalar("algebra/commutator_norm", loss / 1000, max(steps))
        writer.add_scalar("equivariance_error/pos_x", 0.5, max(steps))
    if scores is not None:
        protocol = {"preset": "fast", "dataset": args.get("dataset", "dsprites"), "metrics": ["a"], "step": max(steps)}
        (path / "scores.json").write_text(json.dumps({"scores": scores, "protocol": protocol}))
    for name, width in (("traversals", 900), ("group_elements", 300)):
        Image.fromarray(np.full((40, width, 3), 7, np.uint8)).save(path / PICTURES[name].file)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(path / "traversals.gif")
    return path


class Checker(HTMLParser):
    """Checks nesting as it goes, and keeps what a test wants to see."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.images, self.anchors, self.links, self.urls, self.text = [], [], set(), [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert len(attributes) == len(attrs)  # none twice
        self.urls += [attributes[key] for key in ("src", "href", "srcset", "action", "data") if key in attributes]
        self.anchors |= {attributes["id"]} if "id" in attributes else set()
        self.links += [attributes["href"]] if tag == "a" else []
        self.images += [attributes] if tag == "img" else []
        assert tag != "script" and not any(key.startswith("on") for key in attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data.replace("\u00a0", " "))


def check_page(path: Path) -> Checker:
    """The page nests, has alternative texts, and refers to nothing outside itself."""
    content = path.read_text(encoding="utf-8")
    checked = Checker(content)
    assert all(url.startswith(("data:", "#")) for url in checked.urls)
    assert "url(" not in content and "@import" not in content
    assert all(len(image["alt"]) > 20 for image in checked.images)
    for image in checked.images:
        kind, data = re.fullmatch(r"data:image/(png|gif);base64,(.*)", image["src"]).groups()
        assert base64.b64decode(data, validate=True)[:4] == {"png": b"\x89PNG", "gif": b"GIF8"}[kind]
    assert {link.removeprefix("#") for link in checked.links} <= checked.anchors
    assert content.startswith("<!DOCTYPE html>") and 'name="viewport"' in content
    return checked


def written(paths) -> Path:
    """The report of the paths, of which all could be read."""
    path, left_out = report.write_report(paths)
    assert left_out == []
    return path


@pytest.fixture
def run(tmp_path) -> Path:
    return write_run(tmp_path / "logs" / "version_0", {"fac_eval": 0.5, "SAP_score": 0.25, "mine": 0.125})


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    values = {40: (0.7, 0.8), 0: (0.4, 0.5, 0.6)}
    for hes, scores in values.items():
        for seed, score in enumerate(scores):
            write_run(
                folder / f"hes{hes}" / f"version_{seed}", {"fac_eval": score}, hy_hes=hes, seed=seed, loss=10 + hes
            )
    return folder


def test_report_of_a_run_is_one_valid_page_without_outside_references(run):
    checked = check_page(written([run]))
    assert len(checked.images) == 7  # loss, reconstruction, KL, KL of each latent, two pictures, one animation
    text = " ".join(checked.text)
    for heading in (*SECTIONS.values(), "Configuration"):
        assert heading in text
    assert "own replica" in text


@pytest.mark.parametrize(("latents", "said"), [(16, "listed by their last KL"), (17, "17 latents, too many to name")])
def test_the_kl_legend_names_all_latents_or_none(latents, said, tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(write_run(tmp_path / "run"))) as writer:
        for latent in range(1, latents):
            writer.add_scalar(f"train_kl_per_latent/{latent:02d}", 0.5, 20)
    assert said in " ".join(check_page(written([tmp_path / "run"])).text)


def test_published_scores_stand_beside_a_run_of_their_data_set_and_model_only(tmp_path):
    page_of = {
        name: " ".join(check_page(written([write_run(tmp_path / name, {"fac_eval": 0.5}, **args)])).text)
        for name, args in {
            "match": {},
            "model": {"model": "factor_vae"},
            "data": {"dataset": "squares", "data_source": "file.npz"},
        }.items()
    }
    assert "0.861 ± 0.020" in page_of["match"] and "0.823 ± 0.056" in page_of["match"]
    assert "0.861" not in page_of["model"] and "0.861" not in page_of["data"]
    assert "own replica" not in page_of["data"]


def test_markup_in_arguments_is_text(tmp_path):
    evil = "<script>alert('1')</script>\"'&"
    path = write_run(tmp_path / "version_0", {"<b>score</b>": 1.0}, data_path=evil, dataset=evil)
    checked = check_page(written([path]))  # refuses scripts
    assert evil in " ".join(checked.text)


def test_a_run_without_scores_and_pictures_still_has_a_report(tmp_path):
    (tmp_path / "version_0").mkdir()
    (tmp_path / "version_0" / "args.json").write_text("{}")
    checked = check_page(written([tmp_path / "version_0"]))
    text = " ".join(checked.text)
    assert "No scores were taken" in text and "No losses were logged" in text
    assert checked.links == ["#scores", "#curves"]  # no heading without content


def test_comparison_has_means_deviations_and_points_by_group(sweep):
    path = written([sweep])
    assert path == sweep / "report.html"
    checked = check_page(path)
    text = " ".join(checked.text)
    assert "hy_hes 40" in text and "hy_hes 0" in text
    assert "0.7500 ± 0.0707 (2)" in text and "0.5000 ± 0.1000 (3)" in text
    assert "0.861 ± 0.020" in text
    assert any("FactorVAE score: one point a run" in image["alt"] for image in checked.images)
    assert "5 runs in 2 groups" in text


def test_runs_that_differ_in_seed_alone_are_one_group(sweep):
    runs = [read_run(path) for path in find_runs([sweep / "hes0"])]
    groups, shared = comparison.grouped(runs)
    assert list(groups) == ["all runs"] and len(groups["all runs"]) == 3
    assert shared["hy_hes"] == 0 and "seed" not in shared


def test_runs_are_found_in_natural_order_and_once(tmp_path):
    for n in (10, 9, 1):
        write_run(tmp_path / f"version_{n}", steps=[20])
    found = find_runs([tmp_path, tmp_path / "version_9"])
    assert [path.name for path in found] == ["version_1", "version_9", "version_10"]


def test_read_run_gives_arguments_scalars_scores_and_pictures(run):
    read = read_run(run)
    assert read.args["seed"] == 1 and read.scores["fac_eval"] == 0.5 and read.protocol["preset"] == "fast"
    assert list(read.scalars.columns) == ["tag", "step", "value"]
    assert list(read.curve("train/loss").step) == list(range(20, 400, 20))
    assert read.last("train/loss") == pytest.approx(100 / 380)
    assert read.last("never/logged") is None
    assert set(read.pictures) == {"traversals", "group_elements", "traversal_animation"}
    assert all(path.is_file() for path in read.pictures.values())


def test_read_run_joins_the_event_files_of_a_continued_run_and_keeps_the_later_value(tmp_path):
    path = write_run(tmp_path / "version_0", steps=range(20, 100, 20), loss=100.0)
    write_run(path, steps=range(60, 140, 20), loss=200.0)  # went back to step 60
    assert len(list(path.glob("events.*"))) == 2
    read = read_run(path)
    curve = read.curve("train/loss")
    assert list(curve.step) == [20, 40, 60, 80, 100, 120]
    np.testing.assert_allclose(curve.value, [5, 2.5, 200 / 60, 2.5, 2, 200 / 120], rtol=1e-5)
    assert len(read.curve("train_by_images_seen/loss")) == 6


def test_scores_come_from_the_log_where_no_file_has_them(tmp_path):
    path = write_run(tmp_path / "version_0")
    (path / "log_metrics.txt").write_text("dmetric/fac_eval : 0.25\nmetric/loss : 3\ndmetric/fac_eval : 0.75\n")
    assert read_run(path).scores == {"fac_eval": 0.75}


def test_bad_paths_are_one_line_and_exit_status_2(tmp_path, capsys):
    for paths in ([tmp_path], [tmp_path / "none"]):
        assert main([str(path) for path in paths]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1
    with pytest.raises(UserError, match="is no run: neither args.json"):
        read_run(tmp_path)
    (tmp_path / "args.json").write_text("{")
    with pytest.raises(UserError, match="no valid JSON"):
        read_run(tmp_path)


def test_output_goes_where_it_is_told(run, tmp_path, capsys):
    assert main([str(run), "--output", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").is_file() and not (run / "report.html").exists()
    assert main([str(run), "--output", str(tmp_path / "new" / "page.html")]) == 0
    assert (tmp_path / "new" / "page.html").is_file()
    for wrong in (run, run / "args.json" / "page.html"):
        assert main([str(run), "--output", str(wrong)]) == 2
        assert capsys.readouterr().err.startswith(f"error: --output {wrong}")


def test_published_values_are_fractions_with_a_named_source():
    for score in published.PUBLISHED:
        assert 0 < score.deviation < score.mean < 1
        assert score.source in published.SOURCES
        assert score_guide.describe(score.metric).question == score_guide.PAPER  # the table that has them beside


def test_every_picture_is_described_in_the_documents():
    text = (Path(__file__).parents[2] / "docs" / "pictures.md").read_text(encoding="utf-8")
    for picture in PICTURES.values():
        assert f"`{picture.file}`" in text and f"`{picture.tag}`" in text


def test_every_picture_names_its_section_of_the_report():
    assert {picture.section for picture in PICTURES.values()} <= SECTIONS.keys()


def test_what_cannot_be_read_is_named_and_does_not_stop_the_rest(tmp_path, capsys):
    good, bad, torn = (write_run(tmp_path / "logs" / f"version_{n}", {"fac_eval": 0.5}, seed=n) for n in range(3))
    (bad / "args.json").write_text('{"model": ')
    (torn / PICTURES["traversals"].file).write_bytes((good / PICTURES["traversals"].file).read_bytes()[:60])
    assert main([str(tmp_path / "logs")]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{bad}: ") and captured.err.count("\n") == 1 and "1 left out" in captured.out
    text = " ".join(check_page(tmp_path / "logs" / "report.html").text)
    assert "2 runs in 1 group" in text and f"1 left out. {bad}: " in text
    assert "traversals.png cannot be read" in text
    assert main([str(torn)]) == 0
    assert "traversals.png cannot be read" in (torn / "report.html").read_text()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("scores.json", '{"scores": {"fac_eval": "high"}}'),
        ("scores.json", '{"scores": {"fac_eval": null}}'),
        ("scores.json", '{"scores": [], "protocol": 3}'),
        ("scores.json", "[]"),
        ("args.json", "[]"),
    ],
)
def test_a_damaged_record_is_one_line_that_names_it(tmp_path, file, content, capsys):
    path = write_run(tmp_path / "version_0", {"fac_eval": 0.5})
    (path / file).write_text(content)
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert str(path / file) in error and error.count("\n") == 1


def test_arguments_of_any_kind_are_shown(tmp_path):
    odd = {"model": ["a"], "dataset": {"b": 1}, "seed": [1], "data_source": ["x"], "batch_size": None, "hy_hes": "much"}
    for n, (name, value) in enumerate(odd.items()):
        write_run(tmp_path / f"version_{n}", {"fac_eval": 0.5}, **{name: value})
        assert str(value) in " ".join(check_page(written([tmp_path / f"version_{n}"])).text)
    check_page(written([tmp_path]))


def test_runs_of_the_authors_code_have_a_report_with_curves_from_their_log(tmp_path):
    import argparse

    import torch

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
    checked = check_page(written([run]))
    assert {"Loss over training. Last: validation 30."} <= {image["alt"] for image in checked.images}
    assert "0.7500" in " ".join(checked.text) and "0.861 ± 0.020" in " ".join(checked.text)
    text = " ".join(check_page(written([tmp_path / "theirs"])).text)
    assert "0.6250 ± 0.1768 (2)" in text


def test_a_comparison_has_paired_differences_with_intervals(tmp_path):
    values = {"lie_group": (0.6, 0.7, 0.8), "vae": (0.5, 0.5, 0.5), "beta_celeb": (0.5,)}
    for model, scores in values.items():
        for seed, score in enumerate(scores):
            write_run(tmp_path / model / f"version_{seed}", {"fac_eval": score}, model=model, seed=seed)
    text = " ".join(" ".join(check_page(written([tmp_path / "lie_group", tmp_path / "vae"])).text).split())
    half = 4.302652729911275 * 0.1 / 3**0.5  # t quantile 0.975 for two degrees of freedom
    assert f"-0.200 [{-0.2 - half:+.3f}, {-0.2 + half:+.3f}], 3 seeds" in text
    checked = check_page(written([tmp_path / "lie_group", tmp_path / "beta_celeb"]))
    assert "#differences" not in checked.links  # one seed in common has no interval


def test_scores_of_every_epoch_are_drawn_over_training(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    def titles(path):
        return {image["alt"] for image in check_page(path).images}

    runs = [write_run(tmp_path / f"version_{n}", {"fac_eval": 0.5}, seed=n) for n in range(2)]
    assert "FactorVAE score over training." not in titles(written([tmp_path]))
    for run in runs:
        with SummaryWriter(str(run)) as writer:
            for step, score in ((100, 0.25), (200, 0.5)):
                writer.add_scalar("dmetric/fac_eval", score, step)
    assert "FactorVAE score over training." in titles(written([runs[0]])) & titles(written([tmp_path]))


def test_scores_of_kept_weights_stand_at_the_step_of_their_epoch(tmp_path):
    path = tmp_path / "version_0"
    for last in (100, 200):  # an epoch each, with its validation
        write_run(path, {"fac_eval": 0.5}, steps=[last])
    for epoch, score in ((1, 0.25), (2, 0.5), (9, 0.75)):
        (path / f"scores_epoch_{epoch}.json").write_text(json.dumps({"scores": {"fac_eval": score}, "protocol": {}}))
    curve = read_run(path).curve("dmetric/fac_eval")
    assert list(curve.step) == [100, 200] and list(curve.value) == [0.25, 0.5]
    assert "FactorVAE score over training." in {image["alt"] for image in check_page(written([path])).images}


def test_scores_stand_under_their_question_with_direction_and_ideal(tmp_path):
    scores = {"fac_eval": 0.5, "reconstruction_error": 20.0, "mine": 0.125, "fac_num_act": 0.0}
    text = " ".join(" ".join(check_page(written([write_run(tmp_path / "version_0", scores)])).text).split())
    assert "0.5000 says nothing: no latent is active ↑ 1 0.861 ± 0.020" in text and " 20 ↓ 0" in text
    assert text.index("FactorVAE score") < text.index(INFORMATION) < text.index("reconstruction error")
    assert text.index("reconstruction error") < text.index(score_guide.OTHER) < text.index("mine")


def test_every_declared_score_is_in_the_guide_under_its_question():
    from metrics import scores

    assert scores().keys() == score_guide.BY_NAME.keys()
    for score in scores().values():
        assert score_guide.describe(score.name).question in (score.question, score_guide.PAPER)


def test_scores_of_a_text_log_stand_at_the_epoch_after_which_they_were_taken_last(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    lines = ["metric/loss : 3", "dmetric/fac_eval : 0.25", "metric/loss : 2", "dmetric/fac_eval : 0.5"]
    (tmp_path / "log_metrics.txt").write_text("\n".join([*lines, "dmetric/fac_eval : 0.75\n"]))
    with SummaryWriter(str(tmp_path)) as writer:  # what --evaluate adds to a run of the authors' code
        writer.add_scalar("dmetric/fac_eval", 0.75, 0)
    run = read_run(tmp_path)
    assert run.curve("dmetric/fac_eval")[["step", "value"]].values.tolist() == [[1, 0.25], [2, 0.75]]
    assert run.curve("validation/loss")[["step", "value"]].values.tolist() == [[1, 3], [2, 2]]
