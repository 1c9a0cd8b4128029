"""Models of every family through the command line's entry: trained, continued, scored, started from one another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import main
from models import MODELS, model_class

FAMILIES = {  # one of a kind: with groups and every penalty, with a schedule, with a second optimiser
    "lie_group": ["--model=lie_group", "--subgroup_sizes_ls=[9]", "--hy_tc=1", "--hy_dip=1"],
    "annealed_vae": ["--model=annealed_vae", "--capacity=5", "--capacity-leadin=5"],
    "factor_conv_vae": ["--model=factor_conv_vae"],
}
MORE_FAMILIES = {
    "bottleneck_vae": ["--model=bottleneck_vae", "--subgroup_sizes_ls=[9]"],
    "beta_tcvae": ["--model=beta_tcvae", "--tc_estimator=stratified"],
    "dip_vae_ii": ["--model=dip_vae_ii"],
}


pytestmark = pytest.mark.usefixtures("narrow_networks", "cheap_scores")


@pytest.fixture
def run(small_dsprites, tmp_path):
    """Run `main.py` with the flags given, in a log folder of the given name; the exit status."""

    def run_main(log: str, *flags: str) -> int:
        common = ["--dataset=dsprites", f"--data-path={small_dsprites}", f"--log-path={tmp_path / log}"]
        small = ["--latents=3", "--subspace_sizes_ls=[3]", "--batch-size=16", "--quiet", "--num-threads=1", "--seed=1"]
        return main.main([*common, *small, "--end-metrics=no", "--visualise=no", *flags])

    return run_main


def state_of(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints/model.pt", weights_only=True)


@pytest.mark.parametrize("family", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_FAMILIES)])
def test_continued_run_equals_uninterrupted_run(run, tmp_path, family: str) -> None:
    flags = {**FAMILIES, **MORE_FAMILIES}[family]
    assert run("once", *flags, "--max-steps=2") == 0
    assert run("twice", *flags, "--max-steps=1") == 0
    assert run("twice", *flags, "--max-steps=2", "--load-model") == 0
    once, twice = state_of(tmp_path / "once/version_0"), state_of(tmp_path / "twice/version_0")
    assert once.keys() == twice.keys()
    assert all(torch.equal(once[name], twice[name]) for name in once)
    training = [
        torch.load(tmp_path / log / "version_0/checkpoints/training.pt", weights_only=True) for log in ("once", "twice")
    ]
    for name, value in training[0]["model"].items():  # the discriminator, too
        assert torch.equal(value, training[1]["model"][name]), name


def test_a_run_with_a_discriminator_is_scored(run, tmp_path) -> None:
    assert run("log", "--model=factor_conv_vae", "--max-steps=2") == 0
    version = tmp_path / "log/version_0"
    assert all(name.startswith(("encoder.", "decoder.")) for name in state_of(version))
    assert run("log/version_0", "--evaluate", "--metric-preset=fast") == 0
    assert "fac_eval" in json.loads((version / "scores.json").read_text())["scores"]


def test_a_lie_group_run_starts_from_another_model(run, tmp_path, capsys) -> None:
    assert run("base", "--model=factor_conv_vae", "--max-steps=2") == 0
    flags = ["--model=lie_group", "--subgroup_sizes_ls=[9]", "--max-steps=0"]
    assert run("log", *flags, f"--base-model-path={tmp_path / 'base/version_0'}") == 0
    printed = capsys.readouterr().out
    assert "(factor_conv_vae): 10 of 12 layers taken, 7 start anew: encoder.prior_group.11" in printed
    base, own = state_of(tmp_path / "base/version_0"), state_of(tmp_path / "log/version_0")
    assert torch.equal(own["encoder.prior_group.0.weight"], base["encoder.0.weight"])
    file = tmp_path / "base/version_0/checkpoints/model.pt"
    assert run("file", *flags, f"--base-model-path={file}", "--base-model=factor_conv_vae") == 0
    assert torch.equal(state_of(tmp_path / "file/version_0")["decoder.post_exp.5.weight"], base["decoder.5.weight"])


def test_a_base_model_of_which_nothing_fits_is_an_error(run, tmp_path, capsys) -> None:
    assert run("base", "--model=beta_shapes", "--max-steps=0") == 0
    assert run("log", "--model=beta_celeb", f"--base-model-path={tmp_path / 'base/version_0'}") == 2
    assert "no encoder or decoder layer fits --model" in capsys.readouterr().err
    assert run("log", "--model=beta_celeb", f"--base-model-path={tmp_path}") == 2
    assert f"--base-model-path {tmp_path} holds neither" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model=vae", "--beta=4"], "--beta has no meaning for --model vae: it is always 1.0; leave it out"),
        (["--model=vae", "--capacity=4"], "--capacity has no meaning for --model vae"),
        (["--model=annealed_vae", "--beta=4"], "--beta has no meaning for --model annealed_vae: its weight is"),
        (["--model=beta_tcvae", "--capacity=4"], "--capacity has no meaning for --model beta_tcvae"),
        (["--model=beta_tcvae", "--hy_tc=1"], "--hy_tc has no meaning for --model beta_tcvae"),
        (["--model=dip_conv_vae_i", "--hy_dip=1"], "--hy_dip has no meaning for --model dip_conv_vae_i"),
        (["--model=lie_group", "--latents=7"], "--latents is 7 but --subspace_sizes_ls sums to 3"),
    ],
)
def test_flags_that_a_model_contradicts_are_refused(run, tmp_path, capsys, flags: list[str], message: str) -> None:
    assert run("log", *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "log").exists()


def test_flags_of_other_models_are_named_and_do_nothing(run, capsys) -> None:
    """Neither do the subspace sizes bind the latents of a model that has none."""
    assert run("log", "--model=vae", "--latents=7", "--hy-hes=3", "--lambda_d=2", "--max-steps=0") == 0
    printed = capsys.readouterr().out
    assert "note: --hy_hes does nothing for --model vae\n" in printed
    assert "lambda_d" not in printed  # it weighs a penalty that any model can add
    assert run("log", "--model=lie_group", "--hy-hes=3", "--max-steps=0") == 0
    assert "note:" not in capsys.readouterr().out


@pytest.mark.parametrize("name", MODELS)
def test_what_a_name_fixes_is_an_argument_of_its_class(name: str) -> None:
    preset, known = MODELS[name], model_class(name).arguments() | {"discriminator_width"}
    assert {*preset.fixed, *preset.instead, *preset.instead.values()} <= known
