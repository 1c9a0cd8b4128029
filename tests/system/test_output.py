"""What a command prints never ends it: a reader that goes away, a terminal that lacks letters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = """
import sys
from system.command_line import ignore_failed_writes
ignore_failed_writes()
for n in range(3):
    print("a line " * 20000)
    sys.stderr.write("and one\\n")
print("\\u00e4 \\udcc3")
open(sys.argv[1], "w").write("done")
"""

BAR = """
import time
from system.command_line import start
def main():
    from tqdm import trange
    for _ in trange(30):
        time.sleep(0.02)
start(main)
"""


def run(command: list[str], **more) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *command], cwd=ROOT, **more)


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("to", [closed_pipe, lambda: os.open("/dev/full", os.O_WRONLY)], ids=["no reader", "full disk"])
def test_a_command_that_nobody_hears_comes_to_its_end(to, tmp_path):
    sink = to()
    try:
        assert run(["-c", COMMAND, str(tmp_path / "end")], stdout=sink, stderr=sink).returncode == 0
    finally:
        os.close(sink)
    assert (tmp_path / "end").read_text() == "done"


def test_a_list_of_data_sets_whose_reader_goes_away_ends_well():
    sink = closed_pipe()
    try:
        ended = run(["-m", "datasets", "--list"], stdout=sink, stderr=subprocess.PIPE)
    finally:
        os.close(sink)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_letters_that_the_terminal_lacks_are_spelt_out(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = run(["-c", COMMAND, str(tmp_path / "end")], capture_output=True, env=environment)
    assert ended.returncode == 0
    assert ended.stdout.endswith(b"\\xe4 \\udcc3\n")


def test_a_progress_bar_fills_no_log_file():
    ended = run(["-c", BAR], capture_output=True)
    assert ended.returncode == 0
    assert ended.stderr.count(b"\r") <= 3  # its start and its end, not one every tenth of a second


@pytest.mark.slow
def test_a_finished_run_whose_reader_has_gone_ends_well(small_dsprites, tmp_path):
    flags = [
        "--dataset=dsprites",
        f"--data-path={small_dsprites}",
        "--max-steps=1",
        "--batch-size=4",
        "--model=vae",
        "--quiet",
    ]
    flags += [f"--log-path={tmp_path}", "--end-metrics=no", "--visualise=no", "--num-threads=1", "--device=cpu"]
    sink = closed_pipe()
    try:
        ended = run(["main.py", *flags], stdout=sink, stderr=subprocess.PIPE)
    finally:
        os.close(sink)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert '"finished"' in (tmp_path / "version_0" / "status.json").read_text()


@pytest.mark.parametrize("stream", ["1", "2"])
def test_a_stream_that_is_closed_stops_nothing(stream):
    command = f"{sys.executable} -c '{BAR}' {stream}>&-"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True).returncode == 0


def test_ctrl_c_is_one_line_and_status_130():
    command = "from system.command_line import start\ndef main(): raise KeyboardInterrupt\nstart(main)"
    ended = run(["-c", command], capture_output=True)
    assert (ended.returncode, ended.stderr) == (130, b"stopped by Ctrl-C\n")


def test_a_setting_of_the_bars_that_is_no_number_is_one_line():
    ended = run(["-c", BAR], capture_output=True, env={**os.environ, "TQDM_MININTERVAL": "abc"})
    assert ended.returncode == 2
    assert (
        ended.stderr.startswith(b"error: the environment variable TQDM_MININTERVAL") and ended.stderr.count(b"\n") == 1
    )


def test_a_path_that_is_not_in_utf8_here_is_one_line(tmp_path):
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = run(["main.py", f"--log-path={tmp_path}/\u00e4"], capture_output=True, env=environment)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"error: --log-path: ") and ended.stderr.count(b"\n") == 1
    assert b"is not in UTF-8 here: set PYTHONUTF8=1, or give another path" in ended.stderr
    assert not list(tmp_path.iterdir())
