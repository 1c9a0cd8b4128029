"""What a run recorded is checked as what is typed is: args.json edited by hand, and numbers beyond a machine's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import main
from tests.test_trainer import run

WRONG = [  # argument, what stands in args.json, what is said
    ("latents", 2, "--latents is 2 but --subspace_sizes_ls sums to 3"),
    ("subgroup_sizes_ls", [3], "3 is not a perfect square; the nearest one is 4"),
    ("subspace_sizes_ls", "[[3]]", ""),
    ("latents", "ten", ""),
    ("model", ["vae"], ""),
    ("model", "gan", ""),
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


def test_a_seed_beyond_the_generators_is_one_line(capsys):
    assert main.main(["--seed=20261201093000"]) == 2
    assert "'20261201093000' is not an integer of at least 0, at most 4294967295" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--log-path", "--data-path", "--eval_data_path", "--base-model-path"])
def test_an_empty_path_is_no_path(flag, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main([flag, "", "--max-steps=0"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {flag}: '' is no path: ")
    assert not list(tmp_path.iterdir())
