"""A run that is stopped and started again equals one that nothing disturbed, to the bit."""

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from kill_places import signalled
from run_contents import LIE_GROUP, assert_equal_runs, scalars, training_state

KILLS = 20


def state(run: Path) -> str:
    return json.loads((run / "status.json").read_text())["state"]


def wait_until(condition, process) -> bool:
    """True once the condition holds, False when the process ended first."""
    while not condition():
        if process.ended():
            return False
        time.sleep(0.0005)
    return True


def checkpoint_id(log_path: Path) -> list[int]:
    try:
        return [path.stat().st_ino for path in log_path.glob("version_*/checkpoints/training.pt")]
    except FileNotFoundError:  # it is being replaced
        return []


def kill_somewhere(process, log_path: Path, moments: random.Random, in_a_write: bool) -> bool:
    """SIGKILL after up to three new checkpoints and a little more. Whether the process was still alive."""
    for _ in range(moments.randint(0, 3)):
        before = checkpoint_id(log_path)
        wait_until(lambda before=before: checkpoint_id(log_path) != before, process)
    if in_a_write:
        pattern = f"version_*/checkpoints/.training.pt.{process.pid}.partial"
        while wait_until(lambda: list(log_path.glob(pattern)), process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGSTOP)  # held still, to see whether it is in the write yet
                time.sleep(0.002)
                if list(log_path.glob(pattern)):
                    break
                os.kill(process.pid, signal.SIGCONT)
    else:
        time.sleep(moments.uniform(0, 0.1))
    return process.kill() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "wanted"), [((), KILLS), (LIE_GROUP, 3)], ids=["tiny", "lie_group"])
def test_a_run_that_is_killed_again_and_again_equals_the_uninterrupted_one(
    flags, wanted, start, uninterrupted, tmp_path
):
    moments, kills, in_a_write, runs = random.Random(6), 0, 0, []
    while kills < wanted:
        log_path = tmp_path / f"killed_{len(runs)}"
        runs.append(log_path)
        process = start(log_path, "--resume", "auto", *flags)
        while kills < wanted and kill_somewhere(process, log_path, moments, in_a_write=kills % 3 == 2):
            kills += 1
            in_a_write += bool(list(log_path.glob(f"version_*/checkpoints/.training.pt.{process.pid}.partial")))
            if any(state(status.parent) == "finished" for status in log_path.glob("version_*/status.json")):
                break  # killed in its very last moment: the same command would start a new run
            process = start(log_path, "--resume", "auto", *flags)
        else:
            assert process.wait() == 0, process.text
    for log_path in runs:
        (run,) = [args.parent for args in log_path.glob("version_*/args.json")]
        assert state(run) == "finished"
        assert_equal_runs(run, uninterrupted(*flags))
        assert not list(run.glob("**/.*.partial"))
    assert in_a_write >= wanted // 5
    print(f"{kills} kills, {in_a_write} of them inside a checkpoint write, in {len(runs)} runs")


def test_scalars_have_no_step_twice(uninterrupted):
    tags = [(tag, step) for tag, step, _ in scalars(uninterrupted())]
    assert len(tags) == len(set(tags))
    assert {step for tag, step in tags if tag == "1 losses/loss, train"} == {20, 27}
    assert {step for tag, step in tags if tag == "1 losses/loss, validation"} == {9, 18, 27}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_step_and_exits_with_the_status_for_a_restart(number, start, uninterrupted, tmp_path):
    log_path = tmp_path / "signalled"
    process = start(log_path, environment=signalled("step", 5, number))
    assert process.wait() == 75
    assert number.name in process.text and "--resume auto" in process.text
    assert state(log_path / "version_0") == "interrupted"
    assert training_state(log_path / "version_0")["progress"]["step"] == 5
    again = start(log_path, "--load-model", "True")
    assert again.wait() == 0, again.text
    assert "from step 5 of 27" in again.text
    assert_equal_runs(log_path / "version_0", uninterrupted())


def test_a_signal_that_comes_from_the_terminal_and_from_a_script_is_one_request(start, tmp_path):
    log_path = tmp_path / "signalled"
    process = start(log_path, environment=signalled("step", 5, signal.SIGINT, signal.SIGTERM))
    assert process.wait() == 75
    assert state(log_path / "version_0") == "interrupted"


def test_scores_of_every_epoch_and_of_the_end_are_logged_once(start, tmp_path):
    whole = start(tmp_path / "whole", "--metrics", "yes", "--end-metrics", "yes")
    assert whole.wait() == 0, whole.text
    broken = tmp_path / "broken"
    for n in (2, 4, 4):  # killed when the scores of this epoch are in the text log, after its validation
        kill = signalled("log", n, signal.SIGKILL)
        process = start(broken, "--metrics", "yes", "--end-metrics", "yes", "--resume", "auto", environment=kill)
        assert process.wait() == -signal.SIGKILL, process.text
    process = start(broken, "--metrics", "yes", "--end-metrics", "yes", "--resume", "auto")
    assert process.wait() == 0, process.text
    assert_equal_runs(broken / "version_0", tmp_path / "whole" / "version_0")
    assert (broken / "version_0" / "log_metrics.txt").read_text().count("fac_eval") == 3


def test_scores_of_the_end_are_taken_also_if_scores_of_every_epoch_are_asked_for_after_the_last_one(start, tmp_path):
    log_path = tmp_path / "late"
    process = start(log_path, "--end-metrics", "yes", environment=signalled("score", 1, signal.SIGTERM))
    assert process.wait() == 75
    again = start(log_path, "--end-metrics", "yes", "--metrics", "yes", "--resume", "auto")
    assert again.wait() == 0, again.text
    assert json.loads((log_path / "version_0" / "scores.json").read_text())["protocol"]["step"] == 27


@pytest.mark.parametrize("shorter", [("--max-steps", "12"), ("--epochs", "1")])
def test_a_run_that_is_already_longer_than_asked_for_is_validated_and_trained_no_further(shorter, start, tmp_path):
    process = start(tmp_path / "longer", environment=signalled("step", 14, signal.SIGTERM))
    assert process.wait() == 75
    again = start(tmp_path / "longer", "--resume", "auto", *shorter)
    assert again.wait() == 0, again.text
    run = tmp_path / "longer" / "version_0"
    assert training_state(run)["progress"]["step"] == 14
    assert [step for tag, step, _ in scalars(run) if tag == "1 losses/loss, validation"] == [9, 14]


def test_tensorboard_shows_every_point_of_a_run_that_was_continued_twice(start, tmp_path):
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    for n in (10, 9):
        stop = signalled("step", n, signal.SIGTERM)
        assert start(tmp_path / "twice", "--resume", "auto", environment=stop).wait() == 75
    assert start(tmp_path / "twice", "--resume", "auto").wait() == 0
    shown = EventAccumulator(str(tmp_path / "twice" / "version_0"))
    shown.Reload()
    assert sorted(point.step for point in shown.Tensors("5 losses by images/loss, validation")) == [36, 72, 108]


def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_used(start, uninterrupted, tmp_path):
    log_path = tmp_path / "damaged"
    process = start(log_path, environment=signalled("step", 5, signal.SIGTERM))
    assert process.wait() == 75
    newest = log_path / "version_0" / "checkpoints" / "training.pt"
    newest.write_bytes(newest.read_bytes()[:-1000])
    again = start(log_path, "--resume", "auto")
    assert again.wait() == 0, again.text
    assert f"warning: {newest} is damaged" in again.text
    assert_equal_runs(log_path / "version_0", uninterrupted())


def test_resume_keeps_the_recorded_arguments_and_refuses_contradictions(start, tmp_path):
    log_path = tmp_path / "contradicted"
    process = start(
        log_path, "--max-steps", "40000", "--epochs", "4000", environment=signalled("step", 5, signal.SIGTERM)
    )
    assert process.wait() == 75
    refused = start(log_path, "--resume", "auto", "--learning-rate", "0.5")
    assert refused.wait() == 2
    line = refused.text.splitlines()[-1]
    assert line.startswith("error: --learning_rate 0.5 contradicts") and "started with 0.001" in line
    changed = start(log_path, "--resume", "auto", "--max-steps", "12")
    assert changed.wait() == 0, changed.text
    args = json.loads((log_path / "version_0" / "args.json").read_text())
    assert (args["max_steps"], args["epochs"], args["learning_rate"]) == (12, 3, 0.001)


def test_resume_starts_a_new_run_where_none_is_unfinished_and_load_model_extends_the_newest(start, tmp_path):
    log_path = tmp_path / "extended"
    assert start(log_path, "--resume", "auto", "--max-steps", "5").wait() == 0
    assert start(log_path, "--resume", "auto", "--max-steps", "5").wait() == 0
    assert sorted(path.name for path in log_path.glob("version_*")) == ["version_0", "version_1"]
    finished = start(log_path, "--load-model", "True", "--max-steps", "5")
    assert finished.wait() == 2
    assert "finished after 5 steps; raise --epochs or --max-steps" in finished.text
    assert start(log_path, "--load-model", "True", "--max-steps", "12").wait() == 0
    steps = [training_state(log_path / f"version_{n}")["progress"]["step"] for n in (0, 1)]
    assert steps == [5, 12]
    empty = start(tmp_path / "empty", "--load-model", "True")
    assert empty.wait() == 2
    assert "holds no run to continue" in empty.text


def test_a_finished_run_keeps_its_scores_when_a_longer_training_of_it_is_killed(start, tmp_path):
    log_path = tmp_path / "extended"
    flags = ("--end-metrics", "yes", "--checkpoint-steps", "none")
    assert start(log_path, *flags, "--epochs", "1").wait() == 0
    run = log_path / "version_0"
    scores, log = ((run / name).read_text() for name in ("scores.json", "log_metrics.txt"))
    killed = start(log_path, "--load-model", "--epochs", "2", environment=signalled("step", 3, signal.SIGKILL))
    assert killed.wait() == -signal.SIGKILL
    again = start(log_path, "--resume", "auto", environment=signalled("step", 1, signal.SIGTERM))
    assert again.wait() == 75 and "from step 9 of 18" in again.text
    assert (run / "scores.json").read_text() == scores and (run / "log_metrics.txt").read_text() == log


def test_a_run_that_another_process_trains_is_not_continued(start, tmp_path):
    log_path = tmp_path / "held"
    first = start(log_path, "--epochs", "4000", environment=signalled("step", 5, signal.SIGSTOP))
    assert first.stopped()
    second = start(log_path, "--resume", "auto")
    assert second.wait() == 0, second.text
    assert "version_0 is being trained by another process" in second.text
    first.kill()
    assert state(log_path / "version_1") == "finished"


def test_a_loss_that_is_not_finite_stops_the_run_names_term_and_step_and_keeps_the_checkpoint(start, tmp_path):
    log_path = tmp_path / "diverged"
    process = start(log_path, "--learning-rate", "1e18")
    assert process.wait() == 2
    assert "is not finite" in process.text and "step" in process.text
    run = log_path / "version_0"
    assert state(run) == "failed"
    for file in ("model.pt", "training.pt"):
        content = torch.load(run / "checkpoints" / file, weights_only=True)
        weights = content.get("model", content)
        assert all(torch.isfinite(value).all() for value in weights.values())


def test_what_ran_in_the_process_before_changes_nothing(start, data, uninterrupted, tmp_path):
    other = ["--dataset", "dsprites", "--data-path", str(data), "--log-path", str(tmp_path / "other"), "--seed", "77"]
    other += ["--max-steps", "2", "--end-metrics", "no", "--visualise", "no", "--quiet", "--num-threads", "1"]
    process = start(tmp_path / "after", before=other)
    assert process.wait() == 0, process.text
    assert state(tmp_path / "other" / "version_0") == "finished"
    assert_equal_runs(tmp_path / "after" / "version_0", uninterrupted())


def test_once_skips_what_is_finished(start, tmp_path):
    log_path = tmp_path / "once"
    for seed in ("1", "2", "1"):
        process = start(log_path, "--resume", "once", "--max-steps", "2", "--seed", seed)
        assert process.wait() == 0, process.text
    assert "version_0 is finished: nothing to do" in process.text
    longer = start(log_path, "--resume", "once", "--max-steps", "3", "--seed", "1")
    assert longer.wait() == 0 and "version_0 from step 2 of 3" in longer.text  # a run shorter than asked is unfinished
    assert sorted(path.name for path in log_path.glob("version_*")) == ["version_0", "version_1"]


@pytest.mark.parametrize("unfinished", [False, True])
@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (["--capacity", "7"], [], "capacity 7.0, not None"),
        ([], ["--learning-rate", "0.5"], "learning_rate "),
        (["--beta", "2"], [], "beta 2.0, not 1.0"),
        (["--shuffle", "no"], [], "shuffle False, not True"),
    ],
)
def test_once_takes_no_run_of_other_settings_for_its_own(start, tmp_path, before, now, said, unfinished):
    """Whether a setting was given or is the default: two sweeps may share a folder."""
    log_path, how = tmp_path / "once", ["--resume", "once", "--max-steps", "2", "--seed", "1"]
    first = start(log_path, *how, *before)
    assert first.wait() == 0, first.text
    if unfinished:
        (log_path / "version_0" / "status.json").write_text(json.dumps({"state": "interrupted"}))
    second = start(log_path, *how, *now)
    assert second.wait() == 0, second.text
    assert f"version_0 is another run: {said}" in second.text
    assert sorted(path.name for path in log_path.glob("version_*")) == ["version_0", "version_1"]
    again = start(log_path, *how, *now)
    assert again.wait() == 0 and "version_1 is finished: nothing to do" in again.text
