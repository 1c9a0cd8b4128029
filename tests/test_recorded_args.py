"""What a run recorded is checked as what is typed is: args.json edited by hand, and numbers beyond a machine's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import main
from system.errors import UserError
from tests.test_trainer import TINY, run

WRONG = [  # argument, what stands in args.json, what is said
    ("latents", "ten", "--latents: 'ten' is not an integer of at least 1"),
    ("latents", 2, "--latents is 2 but --subspace_sizes_ls sums to 3"),
    ("latents", 3.5, "--latents: '3.5' is not an integer"),
    ("latents", None, "--latents: 'none' is not an integer"),
    ("latents", [3], "--latents: '[3]' is not an integer"),
    ("latents", 10**400, "--latents: '1000"),
    ("subgroup_sizes_ls", [3], "3 is not a perfect square; the nearest one is 4"),
    ("subgroup_sizes_ls", "none", "--subgroup_sizes_ls: 'none' is not a list"),
    ("subgroup_sizes_ls", [10**1000], "has an entry of more than 65536"),
    ("subspace_sizes_ls", [[[3]]], "--subspace_sizes_ls: '[[[3]]]' is not a list"),
    ("model", ["vae"], "--model: invalid choice"),
    ("model", "gan", "--model: invalid choice"),
    ("model", {"a": 1}, "--model: invalid choice"),
    ("recons_loss_type", 3, "--recons_loss_type: invalid choice"),
    ("lie_alg_init_scale", float("nan"), "--lie_alg_init_scale: 'NaN' is not a number"),
    ("forward_eg_prob", 2, "--forward_eg_prob"),
    ("no_exp", "perhaps", "--no_exp: 'perhaps' is neither"),
    ("beta", "1; x", "--beta: '1; x' is not a number"),
    ("dataset", "--help", "--dataset: invalid choice"),
    ("seed", "a text", "--seed: 'a text' is not an integer"),
    ("seed", 2**32, "--seed: '4294967296' is more than 4294967295"),
]


@pytest.fixture(scope="module")
def trained(small_dsprites, tmp_path_factory) -> Path:
    log = tmp_path_factory.mktemp("logs")
    run(small_dsprites, log, "--max-steps=1", "--seed=1", "--end-metrics=no", "--visualise=no")
    (log / "version_0/status.json").write_text(json.dumps({"state": "interrupted"}))
    return log / "version_0"


@pytest.mark.parametrize("flags", [["--evaluate"], ["--resume=auto"]], ids=["evaluate", "resume"])
@pytest.mark.parametrize(("name", "value", "said"), WRONG, ids=[f"{n}={str(v)[:20]}" for n, v, _ in WRONG])
def test_a_record_edited_by_hand_is_one_line(name, value, said, flags, trained, small_dsprites, capsys):
    file = trained / "args.json"
    whole = file.read_text()
    file.write_text(json.dumps({**json.loads(whole), name: value}))
    before = sorted(path.name for path in trained.rglob("*"))
    try:
        argv = [f"--log-path={trained}", f"--data-path={small_dsprites}", "--quiet", "--num-threads=1", *flags]
        status = main.main(argv)
    finally:
        file.write_text(whole)
    err = capsys.readouterr().err
    assert status == 2
    assert err.startswith(f"error: {file}") and err.count("\n") == 1
    assert said in err
    assert sorted(path.name for path in trained.rglob("*")) == before


def test_a_record_that_is_right_comes_back_as_it_was():
    typed = vars(main.build_parser().parse_args([*TINY, "--capacity=2.5", "--data-path=some where", "--beta=1e-7"]))
    recorded = json.loads(json.dumps({**typed, "data_source": "replica", "more": [1]}))
    assert main.recorded_args(recorded, Path("args.json")) == recorded
    as_text = {"subspace_sizes_ls": "[3]", "capacity": "None", "latents": "3"}
    assert main.recorded_args(as_text, Path("args.pt")) == {"subspace_sizes_ls": [3], "capacity": None, "latents": 3}


HUGE = "99999999999999999999"
COUNTS = ["--seed", "--batch-size", "--num-threads", "--global-step", "--epochs", "--max-steps", "--latents"]
COUNTS += ["--checkpoint-steps", "--capacity-leadin", "--keep-epochs", "--epoch"]


@pytest.mark.parametrize("flag", COUNTS)
@pytest.mark.parametrize("number", [HUGE, "9" * 5000], ids=["20 digits", "5000 digits"])
def test_a_number_beyond_a_machines_is_one_line(flag, number, capsys):
    assert main.main([f"{flag}={number}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {flag}: '9999") and err.count("\n") == 1 and len(err) < 200


def test_every_count_has_a_largest_value():
    parser = main.build_parser()
    defaults = vars(parser.parse_args([]))
    counts = [name for name, value in defaults.items() if type(value) is int]
    for name in {*counts, *(flag[2:].replace("-", "_") for flag in COUNTS)}:
        with pytest.raises(UserError):
            parser.parse_args([f"--{name}={HUGE}"])


@pytest.mark.parametrize("flag", ["--log-path", "--data-path", "--eval_data_path", "--base-model-path"])
def test_an_empty_path_is_no_path(flag, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main([flag, "", "--max-steps=0"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {flag}: '' is no path: ")
    assert not list(tmp_path.iterdir())
