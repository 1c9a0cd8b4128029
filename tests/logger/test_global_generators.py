"""A user's model that draws from global generators and has buffers repeats, whatever ran before or is drawn of it."""

import json

from run_contents import assert_equal_runs, same, training_state


def test_a_model_that_draws_globally_repeats_and_goes_on_to_the_bit(start, uninterrupted, data, tmp_path):
    flags = ("--model", "drawing")
    expected = uninterrupted(*flags)
    drawn = uninterrupted(*flags, "--visualise", "yes")
    assert (drawn / "traversals.png").exists()
    assert same(training_state(drawn), training_state(expected))
    other = ["--dataset", "dsprites", "--model", "drawing", "--data-path", str(data), "--seed", "77", "--quiet"]
    other += ["--log-path", str(tmp_path / "other"), "--max-steps", "2", "--end-metrics", "no", "--visualise", "no"]
    other += ["--num-threads", "1"]
    after = start(tmp_path / "after", *flags, before=other)
    assert after.wait() == 0, after.text
    assert_equal_runs(tmp_path / "after" / "version_0", expected)
    short = start(tmp_path / "continued", *flags, "--max-steps", "14")
    assert short.wait() == 0, short.text
    run = tmp_path / "continued" / "version_0"
    (run / "status.json").write_text(json.dumps({"state": "interrupted"}))
    # Stopped by --max-steps, it validated once more than the other: take it back to the checkpoint before that.
    (run / "checkpoints" / "training.previous.pt").rename(run / "checkpoints" / "training.pt")
    again = start(tmp_path / "continued", *flags, "--resume", "auto", "--max-steps", "27")
    assert again.wait() == 0, again.text
    assert "from step 12 of 27" in again.text
    assert_equal_runs(run, expected)
