"""Starts runs of main.py as processes of their own, by forking, so that a test does not import torch for each of them.

Reads one JSON object a line and answers with one: {"start": [flags], "output": file, "environment": {}, "before":
[flags]} gives the process id, {"wait": id} its exit status (negative: the signal that ended it), {"poll": id} the same
or null while it runs, {"stopped": id} whether it stopped (SIGSTOP) before it ended. With KILL in the environment, it
sends itself a signal at a place, see kill_places.py.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import torch
import torch.utils.flop_counter
import torch.utils.tensorboard
from kill_places import arm

import main
import metrics.model_scores
import models
import trainer  # noqa: F401 - imported for the children
import training_loop
from metrics import Scores
from system import device, files, speed


def scores(tables, *_) -> Scores:
    """In place of the slow ones: two numbers that depend on every weight of the encoder."""
    mu = tables.codes[:8]
    values = {"fac_eval": float(mu.sum()), "discrete_mig": float((mu**2).mean())}
    protocol = {"metrics": ["factor_vae", "mig"], "seed": tables.seed, "preset": tables.preset.name}
    return Scores(values, {}, protocol)


def warm_up() -> None:
    """One training step, one event and one lock, so that no child pays for what torch imports at its first step."""
    from tiny_model import TinyVAE

    model = TinyVAE(1, 4)
    noise = model.draw_noise(2, torch.Generator())
    training_loop.train_step(model, model.make_optimisers(1e-3), torch.rand(2, 1, 64, 64), noise, 0)
    import datasets.dsprites  # noqa: F401
    import models.lie_vae  # noqa: F401

    with tempfile.TemporaryDirectory() as folder, torch.utils.tensorboard.SummaryWriter(folder) as writer:
        writer.add_scalar("loss", 1.0, 0)
        files.lock(Path(folder) / "lock")()


def start(flags: list[str], output: str, environment: dict[str, str], before: list[str]) -> int:
    """Fork, run main.py with the flags (first, in the same process, with those of `before`), leave with its status."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        os.environ.update(environment)
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        if "KILL" in os.environ:
            arm()
        if before:
            main.main(before)
        status = main.main(flags)
    except SystemExit as error:
        status = error.code
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def prepare() -> None:
    """Make the process ready for children to be forked from it."""
    torch.set_num_threads(1)
    models.MODELS["tiny"] = models.Preset("tiny_model:TinyVAE", None)
    models.MODELS["drawing"] = models.Preset("drawing_model:DrawingVAE", None)
    metrics.model_scores.score_tables = scores
    speed.product_rate = speed.step_flops = lambda *_: 1e9  # measuring them takes a while at every start
    revision = device.revision()
    device.revision = lambda: revision
    warm_up()


def serve(requests: Iterable[str], answers: TextIO) -> None:
    """Answer each request, to the end of them."""
    for line in requests:
        request = json.loads(line)
        if "start" in request:
            answer = start(request["start"], request["output"], request["environment"], request["before"])
        elif "poll" in request:
            ended, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if ended else None
        elif "stopped" in request:
            answer = os.WIFSTOPPED(os.waitpid(request["stopped"], os.WUNTRACED)[1])
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        print(json.dumps(answer), file=answers, flush=True)
