"""The short table of scores on the screen."""

import re

import pytest

from logger.scores import score_table
from metrics.info import AGREEMENT, GROUPS, SCORES

PROTOCOL = {"dataset": "dsprites", "data_source": "replica", "images": 737280, "preset": "full", "seed": 1}
PROTOCOL |= {"samples": {"train_points": 1000}, "varying_factors": 5}
VALUES = {name: 0.25 for name in SCORES if name != "UDR"} | {"fac_num_act": 7.0}


def shown(values=VALUES, model="lie_group", **protocol) -> list[str]:
    return [" ".join(line.split()) for line in score_table(values, PROTOCOL | protocol, model).splitlines()]


def test_the_papers_scores_come_first_with_direction_ideal_and_what_the_paper_has():
    lines = shown()
    assert lines[:2] == ["scores on dsprites: replica", "737,280 images, full protocol, seed 1"]
    assert lines[2:4] == ["FactorVAE score 0.2500 higher, 1", "the paper: 0.861 ± 0.020 (70 epochs, batch 256)"]
    assert lines[4] == "SAP 0.2500 higher, 1" and lines[5].startswith("the paper: 0.541")
    assert lines[6] == "MIG, without left-out factors 0.2500 higher, 1"
    assert lines[10] == "active latents 7"


def test_a_line_has_one_score_and_at_most_79_columns():
    se = {f"{name}_se": 0.01 for name in VALUES}
    text = score_table({**VALUES, **se, "fac_num_act": 0.0}, PROTOCOL | {"bootstrap": 9}, "lie_group")
    assert max(map(len, text.splitlines())) <= 79
    assert all(line.count("0.2500") <= 1 for line in text.splitlines())


def test_of_one_shape_the_papers_scores_are_not_comparable():
    assert not any("0.861" in line for line in shown(varying_factors=4))


def test_then_every_question_that_was_asked_has_a_line():
    lines = shown()
    for question in set(GROUPS) - {AGREEMENT}:
        assert any(SCORES[key].group == question and f"{SCORES[key].name} 0.2500" in " ".join(lines) for key in SCORES)


@pytest.mark.parametrize(
    ("model", "value"), [("vae", "0.694"), ("bottleneck_vae", "0.746"), ("factor_conv_vae", "0.822")]
)
def test_the_paper_has_a_value_for_its_baselines_too(model, value):
    assert shown(model=model)[3].startswith(f"the paper: {value} ± ")


def test_what_the_paper_did_not_measure_has_no_column():
    assert not [line for line in shown(model="dip_vae_i") if "paper" in line]
    assert not [line for line in shown(dataset="cars3d") if "paper" in line]


def test_scores_without_factors_have_their_questions_alone():
    lines = shown({"gaussian_total_correlation": 0.5, "reconstruction_error": 20.0}, dataset="images")
    assert "Gaussian total correlation 0.5000 lower, 0" in lines
    assert not [line for line in lines if "FactorVAE" in line]


@pytest.mark.parametrize(
    ("values", "protocol", "reason", "marked", "unmarked"),
    [
        ({"fac_num_act": 0.0}, {}, "not meaningful: no latent is active", "SAP", "reconstruction error"),
        ({}, {"varying_factors": 1}, "not meaningful: only one factor varies", "FactorVAE score", "SAP"),
        ({}, {"images": 480}, "unreliable: 480 images, but the protocol uses 1,000 points", "SAP", "active latents"),
    ],
)
def test_a_value_that_says_nothing_is_marked_with_the_reason(values, protocol, reason, marked, unmarked):
    lines = shown({**VALUES, **values}, **protocol)
    assert f"* {reason}" in lines
    assert any(re.search(rf"{marked} [0-9.]+ \*", line) for line in lines)
    assert not any(re.search(rf"{unmarked} [0-9.]+ \*", line) for line in lines)


def test_nothing_is_remarked_on_a_usual_run():
    assert not [line for line in shown() if "*" in line]


def test_an_interval_is_two_standard_errors_wide():
    assert any(line.startswith("SAP 0.2500 [0.2304, 0.2696]") for line in shown({**VALUES, "SAP_score_se": 0.01}))
