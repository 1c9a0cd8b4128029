"""Kills a run, or the script that started it, at the n-th time that it comes by a place. For children of a test only.

KILL is `place:n:who:signals`, with who `worker` or `launcher` (the process LAUNCHER), and signals such as
`SIGINT+SIGTERM`, by default SIGKILL. What was hit is noted in the file HITS, if there is one.
Alone, this file runs main.py in an interpreter of its own and counts imports.
"""

import functools
import os
import signal
import sys

counts: dict[str, int] = {}


def signalled(place: str, n: int, *signals: signal.Signals) -> dict[str, str]:
    """The environment in which a run sends itself these signals, the n-th time that it comes by the place."""
    return {"KILL": f"{place}:{n}:worker:{'+'.join(number.name for number in signals)}"}


def come_by(place: str, before_death=lambda: None) -> None:
    """Note that the run is at the place, and kill where that was asked for."""
    wanted, n, who, *signals = os.environ["KILL"].split(":")
    counts[place] = counts.get(place, 0) + 1
    if place != wanted or counts[place] != int(n):
        return
    with open(os.environ.get("HITS", os.devnull), "a") as hits:
        hits.write(f"{os.environ['KILL']}\n")
    if who == "launcher":
        os.kill(int(os.environ["LAUNCHER"]), signal.SIGKILL)
        return
    before_death()
    for name in signals[0].split("+") if signals else ["SIGKILL"]:
        os.kill(os.getpid(), signal.Signals[name])


def after(function, place: str):
    """The function, coming by the place when it has done its work."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        result = function(*args, **kwargs)
        come_by(place)
        return result

    return wrapped


def arm() -> None:
    """Count from now on: steps, checkpoint writes, log_metrics.txt, pictures, scores and what follows the last step."""
    import torch

    from logger import grids
    from logger.run_directory import RunDirectory
    from metrics import model_scores

    torch.optim.Adam.step = after(torch.optim.Adam.step, "step")
    grids.png_bytes = after(grids.png_bytes, "picture")
    model_scores.score_tables = after(model_scores.score_tables, "score")
    RunDirectory.append_metrics = after(RunDirectory.append_metrics, "log")
    replace, fsync, write_status, release = os.replace, os.fsync, RunDirectory.write_status, RunDirectory.release

    def counted_replace(source, target):
        if "checkpoints" in str(target):
            come_by("write")
        replace(source, target)

    def counted_fsync(descriptor):
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        if "checkpoints" in name and name.endswith(".partial"):  # half of it has been written
            come_by("write", lambda: os.truncate(name, os.path.getsize(name) // 2))
        fsync(descriptor)

    def counted_status(run, state, **more):
        if state == "finished":
            come_by("end")
        write_status(run, state, **more)
        if state == "finished":
            come_by("end")

    def counted_release(run):
        come_by("end")
        release(run)

    os.replace, os.fsync = counted_replace, counted_fsync
    RunDirectory.write_status, RunDirectory.release = counted_status, counted_release


class Imports:
    """On sys.meta_path: sees every import, and finds nothing."""

    @staticmethod
    def find_spec(*_):
        come_by("import")


if __name__ == "__main__":
    sys.path[:1] = [os.getcwd(), os.path.dirname(os.path.abspath(__file__))]
    sys.meta_path.insert(0, Imports)
    import run_server

    import main

    run_server.prepare()
    sys.exit(main.main(sys.argv[1:]))
