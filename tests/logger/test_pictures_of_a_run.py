"""What a run's logger writes: tags in groups, labelled pictures, and nothing where nothing is wanted."""

import re
import subprocess
import sys
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from datasets.factor_dataset import FactorDataset
from logger import charts, grids, panels, pictures
from logger.catalogue import PICTURES
from logger.log import Log, ScalarWriter
from logger.run_directory import RunDirectory
from logger.runs import claim
from metrics.model_scores import ModelScores
from models.lie_vae import LieGroupVAE
from models.vae import VAE
from system.processes import Group
from system.speed import Speed
from training_loop import Position

FLAGS = {
    "seed": 0,
    "epochs": 2,
    "batch_size": 32,
    "quiet": True,
    "visualise": True,
    "metrics": False,
    "end_metrics": True,
    "keep_epochs": None,
    "max_steps": None,
    "precision": "fp32",
    "model": "lie_group",
}


def squares() -> FactorDataset:
    """Squares of 3 sizes at 8 columns and 8 rows, one 'colour'."""
    size, column, row = np.unravel_index(np.arange(192), (3, 8, 8))
    y, x = np.mgrid[:64, :64]
    half = (5 + 2 * size)[:, None, None]
    inside = (abs(y - (18 + 4 * row)[:, None, None]) < half) & (abs(x - (18 + 4 * column)[:, None, None]) < half)
    images = inside.astype(np.uint8)[..., None]
    return FactorDataset("squares", "drawn", ["size", "x", "y", "colour"], [3, 8, 8, 1], images, pixel_max=1)


@pytest.fixture(scope="module")
def dataset():
    return squares()


@pytest.fixture(scope="module")
def picture_inputs(dataset):
    return pictures.gather(dataset, "cpu")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LieGroupVAE(1, [16, 9], [3, 1], lie_alg_init_scale=0.3)


@pytest.fixture(scope="module")
def drawn(model, picture_inputs) -> panels.Drawn:
    return panels.draw(model, picture_inputs)


@pytest.fixture(scope="module")
def run(tmp_path_factory, model, dataset, drawn) -> RunDirectory:
    """A run with three validations and scores."""
    run_dir, at = claim(tmp_path_factory.mktemp("logs")), Position(32 * 21, 32, epochs=2)
    args = Namespace(**FLAGS, hy_hes=40.0, log_path="logs", capacity=None, shuffle=True)
    log = Log(run_dir, args, at, model, {}, dataset, torch.device("cpu"), Speed(torch.device("cpu"), "fp32"))
    codes = {"factor_names": np.array(dataset.factor_names), "codes": np.zeros((1, 4))}
    scored = ModelScores({"fac_eval": 0.5}, {}, {"mutual_information": np.eye(4, 4)}, codes, "")
    with (
        pytest.MonkeyPatch.context() as patch,
        log.opened(None, Group(), {"command": "python main.py", "changed": {"hy_hes": 40.0}}),
    ):
        patch.setattr(panels, "draw", lambda *_: drawn)  # it takes seconds
        for step in (20, 40, 42):
            terms = {"loss": torch.tensor(900.0 / step), "kl": torch.tensor(1.0), "kl_per_latent": torch.ones(4) / 4}
            at.step, at.images, at.epoch, at.batch = step, 32 * step, step // 21, step % 21
            log.training(terms)
            log.end_epoch(lambda terms=terms: terms, None)
        log.finish(lambda: scored)
    return run_dir


@pytest.fixture(scope="module")
def events(run):
    accumulator = EventAccumulator(str(run.path), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return accumulator


def test_tensorboard_reads_a_run_without_complaint(run, caplog):
    with caplog.at_level("WARNING"):
        EventAccumulator(str(run.path)).Reload()
    assert [record.getMessage() for record in caplog.records] == []


def test_losses_come_first_in_tensorboard_then_the_papers_scores(events):
    tags = sorted(events.Tags()["scalars"])
    assert all(re.match(r"[1-8] [a-z ]+/[^/]+$", tag) for tag in tags)
    assert tags[:4] == ["1 losses/kl, train", "1 losses/kl, validation", "1 losses/loss, train"] + [
        "1 losses/loss, validation"
    ]
    assert tags[4] == "2 scores/FactorVAE score"
    assert {f"6 kl per latent/0{j}, validation" for j in range(4)} <= set(tags)


def test_losses_are_drawn_over_steps_and_over_images_seen(events):
    assert [event.step for event in events.Scalars("1 losses/loss, train")] == [20, 40, 42]
    assert [event.step for event in events.Scalars("5 losses by images/loss, train")] == [640, 1280, 1344]
    assert [event.step for event in events.Scalars("5 losses by images/loss, validation")] == [640, 1280, 1344]


def test_tensorboard_says_what_a_number_is(events):
    for tag, text in (("2 scores/FactorVAE score", "`fac_eval`: share of votes"), ("1 losses/kl, train", "in nats")):
        assert text in events.SummaryMetadata(tag).summary_description


def test_all_pictures_of_the_catalogue_are_logged_and_saved_but_those_of_scores_not_taken(run, events):
    expected = {picture.tag for name, picture in PICTURES.items() if name != "importance"}
    assert set(events.Tags()["images"]) == expected
    saved = {path.name for path in run.path.iterdir() if path.suffix == ".png"}
    assert saved == {picture.file for name, picture in PICTURES.items() if name != "importance"}


def test_diagnostics_are_logged_as_numbers(events):
    tags = set(events.Tags()["scalars"])
    assert {"7 algebra/decomposition error", "7 algebra/commutator norm", "7 basis norm/00"} <= tags
    assert "7 equivariance error/x" in tags
    assert "7 equivariance error/colour" not in tags  # a factor with one value does not move


def test_group_features_are_logged_as_text(events):
    text = events.Tensors("group/features/text_summary")[0].tensor_proto.string_val[0].decode()
    rows = text.splitlines()[2:]
    assert len(rows) == 4 * len(panels.SHOWN_VALUES)
    assert all(len(row.split("|")[3].split()) == (4 + 3) ** 2 for row in rows)


def test_comparison_view_opens_with_what_a_run_is_and_with_the_papers_scores(events):
    content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    assert b"hy_hes" in content and b"log_path" not in content
    content = events.SummaryMetadata(metadata.EXPERIMENT_TAG).plugin_data.content
    experiment = metadata.parse_experiment_plugin_data(content)
    # The view lists those that are marked as differing first.
    marked = {info.name for info in experiment.hparam_infos if info.differs}
    assert marked == {"model", "seed", "batch_size", "max_steps"}
    assert {"capacity", "shuffle", "epochs"} <= {info.name for info in experiment.hparam_infos if not info.differs}
    scores = [info.name.tag for info in experiment.metric_infos]
    assert scores[:3] == ["2 scores/FactorVAE score", "2 scores/SAP", "2 scores/MIG, without left-out factors"]


def test_traversals_set_one_latent_and_leave_the_others():
    codes = pictures.traversal_codes(torch.tensor([[0.3, -0.2]]), 5)
    torch.testing.assert_close(codes[:5], torch.tensor([[v, -0.2] for v in (-4.0, -2.0, 0.0, 2.0, 4.0)]))
    torch.testing.assert_close(codes[5:, 0], torch.full((5,), 0.3))


def test_moved_pairs_differ_in_one_factor_by_an_eighth_of_its_range(dataset, picture_inputs):
    assert set(picture_inputs.pairs) == {"size", "x", "y"}
    before, after = picture_inputs.pairs["x"]
    torch.testing.assert_close(after[..., 4:], before[..., :-4])  # one column of eight is four pixels


def test_paths_run_through_all_values_of_a_factor(picture_inputs):
    assert {name: len(images) for name, images in picture_inputs.paths.items()} == {"size": 3, "x": 8, "y": 8}
    assert torch.equal(picture_inputs.paths["size"].sum(dim=(1, 2, 3)), torch.tensor([81.0, 169.0, 289.0]))


def test_composition_shows_no_difference_where_two_latents_commute(model):
    z = torch.zeros(1, 4)
    _, difference = pictures.compositions(model, z, 0, 3)  # two subgroups
    assert difference.max() <= 1
    _, difference = pictures.compositions(model, z, 0, 1)
    assert difference.max() > 1


def test_a_model_without_a_group_is_drawn_without_one(picture_inputs):
    class Plain(VAE):
        def encode(self, x):
            return x.mean(dim=(2, 3)).repeat(1, 3), torch.zeros(len(x), 3)

        def decode(self, z):
            return z.sum(dim=1).view(-1, 1, 1, 1).expand(-1, 1, 64, 64)

    drawn = panels.draw(Plain(1, 3), picture_inputs)
    assert not {"algebra", "eigenvalues", "group_elements"} & set(drawn.pictures)
    assert {"traversals", "composition", "factor_paths", "equivariance"} <= set(drawn.pictures)
    assert drawn.texts == {}


def test_a_chart_of_hundreds_of_rows_is_drawn_coarsely():
    with charts.figure(1.5, 700) as canvas:
        height, width, _ = charts.to_array(canvas).shape
    assert height == charts.MOST_PIXELS and width == round(height * 1.5 / 700)


def test_labels_stand_beside_the_grid_and_leave_the_images_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 1), dtype=np.uint8)
    picture = grids.labelled(images, ["z0\nKL 1.00", "z1\nKL 0.00"], ["a", "b", "c"], title="t", x_label="x")
    cells = grids.grid(images)
    rows, columns = picture.shape[0] - cells.shape[0] + 1, picture.shape[1] - cells.shape[1] + 1
    places = [(y, x) for y in range(rows) for x in range(columns) if (picture[y, x] == cells[0, 0]).all()]
    assert any(np.array_equal(picture[y : y + len(cells), x : x + cells.shape[1]], cells) for y, x in places)


def test_a_frame_lies_around_one_image_of_a_row_and_leaves_the_others_as_they_are():
    images = np.zeros((1, 3, 16, 16, 1), np.uint8)
    plain, first, last = (grids.labelled(images, [""], framed=columns) for columns in ((), (0,), (2,)))
    places = [np.nonzero((picture != plain).any(axis=2)) for picture in (first, last)]
    assert [np.ptp(axis) for place in places for axis in place] == [19] * 4  # an image and the lines on both sides
    assert places[1][1].min() - places[0][1].min() == 2 * 18
    assert np.unique(last[places[1]], axis=0).tolist() == [list(grids.FRAME_COLOUR)]
    assert len(places[0][0]) == 20**2 - 14**2  # one pixel of the image all around


def test_traversals_show_the_image_and_frame_the_value_nearest_to_its_own():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 1), dtype=np.uint8)
    walks = np.zeros((2, 5, 16, 16, 1), np.uint8)  # at -4, -2, 0, 2, 4
    picture = panels.own_traversal_picture(walks, ["z3\nKL 2", "z1\nKL 1"], np.array([-1.8, 9.0]), image)
    places = np.lib.stride_tricks.sliding_window_view(picture[..., 0], (16, 16))
    assert (places == image[..., 0]).all(axis=(2, 3)).sum() == 1
    _, x = np.nonzero((picture == grids.FRAME_COLOUR).all(axis=2))
    assert set(np.unique(x) - x.min()) == {*range(20), *range(54, 74)}  # the second and the fifth of five


def test_whole_numbers_are_among_the_values_of_a_traversal_every_second_one():
    values = pictures.steps(pictures.TRAVERSAL_STEPS)
    assert values[::2].tolist() == list(range(-4, 5))


@pytest.mark.slow
def test_nothing_that_draws_is_imported_before_pictures_are_wanted():
    code = "import sys, logger.log; print({'matplotlib', 'PIL'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_latents_stand_in_one_order_also_in_the_matrices_of_the_scores(run, model, picture_inputs):
    _, kl = panels.codes(model, picture_inputs)
    order = sorted(range(4), key=lambda j: -kl[j])
    assert order != list(range(4))
    values, title = np.eye(4, 4)[order].T, PICTURES["mutual_information"].title
    expected = charts.heat_map_picture(
        values, ["size", "x", "y", "colour"], [f"z{j}" for j in order], title, "latent", "factor", vmin=0
    )
    with Image.open(run.path / PICTURES["mutual_information"].file) as drawn:
        assert np.array_equal(np.array(drawn.convert("RGB")), expected)


@pytest.mark.parametrize(
    ("steps_per_epoch", "total", "drawn_after"),
    [(3, 8, [8]), (150, 1200, [600, 1050, 1200]), (500, 1500, [500, 1000, 1500]), (700, 1500, [700, 1400, 1500])],
)
def test_epochs_of_few_steps_are_not_all_drawn_but_the_end_is(steps_per_epoch, total, drawn_after, tmp_path):
    at, steps = Position(32 * steps_per_epoch, 32, epochs=99, max_steps=total), []
    log = Log(claim(tmp_path), Namespace(**FLAGS), at, None, {}, None, None, None)
    log.writer, log.gallery = ScalarWriter(log.run_dir, at), SimpleNamespace(pictures=steps.append)
    for done in [*range(steps_per_epoch, total, steps_per_epoch), total]:
        at.step, at.epoch, at.batch = done, done // steps_per_epoch, done % steps_per_epoch
        log.end_epoch(dict, None)
    assert steps == drawn_after


@pytest.mark.parametrize(
    ("value", "text", "title"),
    [(0.357, "0.36", "t"), (0.0357, "0.036", "t"), (35.7, "35.7", "t"), (357.0, "357", "t"), (3.57e-5, "3.57", "1e-5")],
)
def test_numbers_of_a_heat_map_stand_as_they_are_where_they_can(value, text, title):
    with charts.figure(4, 3) as canvas:
        axes = canvas.subplots()
        charts.heat_map(axes, np.array([[value, 0.0]]), ["a"], ["z0", "z1"], "t")
        assert [label.get_text() for label in axes.texts] == [text, "0"]
        assert title in axes.get_title()


@pytest.mark.parametrize(
    ("values", "limits", "colours"),
    [
        ([0.004, 1.0], {"vmax": 2}, (0, 2)),  # the limit is in the units of the values
        ([3e4, 1.0], {"vmax": 2}, (0, 2)),
        ([0.0, 0.0], {}, (0, 1)),  # zeros are dark
    ],
)
def test_colours_of_a_heat_map_reach_up_to_the_limit(values, limits, colours):
    with charts.figure(4, 3) as canvas:
        axes = canvas.subplots()
        charts.heat_map(axes, np.array([values]), ["a"], ["z0", "z1"], "t", vmin=0, **limits)
        (image,) = axes.images
        assert image.get_array().tolist() == [values] and image.get_clim() == colours and axes.get_title() == "t"


def findings(latents, size):
    """Diagnostics of latents whose matrices have entries of about this size; their group is commutative."""
    zeros = np.zeros((latents, latents))
    norms = ("product_norm_relative", "commutator_norm_relative", "product_norm_random")
    return SimpleNamespace(
        scalars={f"algebra/{name}": 0.1 for name in norms},
        spectra=[np.array([size + size * 1j])] * latents,
        per_latent={"rotate": np.full(latents, size), "scale": np.full(latents, size)},
        matrices={"product_norms": zeros, "commutator_norms": zeros},
    )


@pytest.mark.parametrize(("latents", "size"), [(1, 0.0044), (2, 0), (5, 0.0044)])
def test_no_text_of_a_chart_is_cut_off_by_its_edge(latents, size):
    pictures = panels.diagnostic_pictures(findings(latents, size), np.arange(latents))
    values = np.full((3, 9), 0.97)
    heat_map = charts.heat_map_picture(values, list("abc"), ["z0"] * 9, "t", "x", "y", vmin=0, vmax=2)
    for picture in (pictures["algebra"], pictures["eigenvalues"], heat_map):  # the outermost pixels are light
        assert picture[:, [0, -1]].min() > 200 and picture[[0, -1]].min() > 200


def test_cells_of_a_heat_map_that_say_nothing_are_grey():
    values = np.array([[0.9, np.nan], [0.1, np.nan]])
    picture = charts.heat_map_picture(values, ["a", "b"], ["z0", "z1"], "t", "x", "y", vmin=0)
    assert (picture == round(0.8 * 255)).all(axis=2).mean() > 0.2


def test_names_of_factors_may_be_long_and_hold_what_elsewhere_is_a_formula():
    names = ["$\\nonsense$", "a\nb", "price in $ " * 9]
    charts.heat_map_picture(np.eye(3), names, ["z0"] * 3, "t", "x", "y")
    codes = np.arange(8.0).reshape(4, 2)
    short, long = (panels.factor_path_picture({name: codes, "b": codes}) for name in ("a" * 26, "a" * 99))
    between = slice(short.shape[1] // 2, short.shape[1] // 2 + 40)  # columns between the two titles
    assert (short[:30, between] == long[:30, between]).all() and short.shape == long.shape
