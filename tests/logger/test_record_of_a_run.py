"""Weights kept on the way and their scores; on what machine and with which code each session of a run took place."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch

import main
from logger.run_directory import RunDirectory
from system import device

TINY = ["--model=beta_shapes", "--latents=3", "--batch-size=60", "--dataset=dsprites"]
TINY += ["--split=0", "--seed=4", "--visualise=no", "--quiet", "--num-threads=1"]
pytestmark = pytest.mark.usefixtures("cheap_scores", "narrow_networks")


def run(data: Path, log: Path, *more: str) -> int:
    return main.main([*TINY, f"--data-path={data}", f"--log-path={log}", *more])


def weights(file: Path) -> dict[str, torch.Tensor]:
    return torch.load(file, weights_only=True)


def same(a: Path, b: Path) -> bool:
    a, b = weights(a), weights(b)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def kept(small_dsprites, narrow_networks, tmp_path_factory) -> Path:
    """Five epochs, the weights of every second one kept, continued after the third."""
    log = tmp_path_factory.mktemp("kept")
    flags = ("--keep-epochs=2", "--end-metrics=no")
    assert run(small_dsprites, log, "--epochs=3", *flags) == 0
    assert run(small_dsprites, log, "--load-model", "--epochs=5", *flags) == 0
    return log / "version_0"


@pytest.mark.slow
def test_the_weights_of_every_nth_epoch_are_those_of_a_run_that_ends_there(kept, small_dsprites, tmp_path):
    files = sorted(path.name for path in (kept / "checkpoints").glob("model*"))
    assert files == ["model.pt", "model_epoch_2.pt", "model_epoch_4.pt"]
    assert run(small_dsprites, tmp_path, "--epochs=4", "--end-metrics=no") == 0
    assert same(kept / "checkpoints" / "model_epoch_4.pt", tmp_path / "version_0" / "checkpoints" / "model.pt")
    assert not same(kept / "checkpoints" / "model_epoch_4.pt", kept / "checkpoints" / "model.pt")


def test_kept_weights_are_scored_without_a_trace_in_the_scores_of_the_run(kept, small_dsprites, capsys):
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    evaluate = ["--evaluate", f"--eval_data_path={small_dsprites}", "--metric-preset=fast"]
    assert run(small_dsprites, kept, *evaluate, "--epoch=2") == 0
    assert {path: path.read_bytes() for path in before} == before
    new = {path.name: path for path in kept.rglob("*") if path.is_file() and path not in before}
    assert new.keys() == {"scores_epoch_2.json", "evaluations.jsonl"}
    content = json.loads(new["scores_epoch_2.json"].read_text())
    assert content["protocol"]["epoch"] == 2
    assert 0 <= content["scores"]["fac_eval"] <= 1
    assert run(small_dsprites, kept, *evaluate, "--epoch=3") == 2
    assert "--epoch 3" in (error := capsys.readouterr().err) and "2, 4" in error


def test_every_session_is_recorded_with_its_machine_and_revision(kept):
    first, second = RunDirectory(kept).sessions()
    assert (first["step"], second["step"]) == (0, 6)
    assert first["started"] <= first["stopped"] <= second["started"] <= second["stopped"]
    for session in (first, second):
        assert session["processor"] == device.processor() and session["revision"] == device.revision()
        assert (session["device"], session["threads"], session["torch"]) == ("cpu", 1, str(torch.__version__))
        assert (session["precision"], session["processes"]) == ("fp32", 1)


def test_a_killed_session_stopped_at_its_last_checkpoint(tmp_path):
    run_dir = RunDirectory(tmp_path)
    run_dir.checkpoints.mkdir()
    run_dir.training_file.write_bytes(b"")
    run_dir.write_status("running", sessions=[{"started": "2026-01-01T00:00:00Z"}])
    (session,) = run_dir.sessions()
    assert session["stopped"] > session["started"]
    run_dir.write_status("running", sessions=[{"started": "9999-01-01T00:00:00Z"}])  # killed before its first
    assert run_dir.sessions() == [{"started": "9999-01-01T00:00:00Z", "stopped": "9999-01-01T00:00:00Z"}]


def test_the_processor_is_named_with_what_speeds_it_up(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: AMD EPYC 9B45\nflags\t\t: avx2 avx512_bf16 bmi2\n")
    assert device.processor(cpuinfo) == f"AMD EPYC 9B45, {torch.backends.cpu.get_cpu_capability()}, bf16"
    assert device.processor(tmp_path / "none")


def test_the_revision_says_when_code_differs_from_it(tmp_path):
    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", tmp_path, *words], capture_output=True, text=True, check=True).stdout

    assert device.revision(tmp_path) is None
    git("init", "-q")
    (tmp_path / "package").mkdir()
    for name in ("package/code.py", "README.md"):
        (tmp_path / name).write_text("1\n")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "a")
    commit = git("rev-parse", "HEAD").strip()
    assert device.revision(tmp_path) == commit
    (tmp_path / "README.md").write_text("2\n")
    assert device.revision(tmp_path) == commit
    (tmp_path / "package" / "code.py").write_text("2\n")
    assert device.revision(tmp_path) == f"{commit}-dirty"
