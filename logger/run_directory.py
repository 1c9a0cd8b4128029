"""The folder of one run, `<log-path>/version_<n>`: what lies where, who holds it, how a new one is claimed."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from system.errors import UserError
from system.files import lock, read_json, write_text

UNBORN = ".starting"  # ends the name of what becomes a run by a rename


class RunDirectory:
    """Paths of one run's files. The folder exists.

    args.json            the arguments, readable, and all that --evaluate needs to rebuild the model
    status.json          `running`, `interrupted`, `failed` or `finished`, and why; every session, and on which machine
    log_metrics.txt      lines `tag : value`, the newest last
    scores.json          the scores with their protocol
    evaluations.jsonl    what every --evaluate gave, a line each; a run that is continued leaves it alone
    checkpoints/         model.pt (the state dict in the reference layout), model_epoch_<e>.pt (--keep-epochs), and what
                         continues the run
    events.*             TensorBoard
    *.png                pictures
    .lock                held by the process that trains here
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.args_file = self.path / "args.json"
        self.status_file = self.path / "status.json"
        self.metrics_file = self.path / "log_metrics.txt"
        self.scores_file = self.path / "scores.json"
        self.evaluations_file = self.path / "evaluations.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model_file = self.checkpoints / "model.pt"
        self.training_file = self.checkpoints / "training.pt"
        self.previous_training_file = self.checkpoints / "training.previous.pt"
        self.reference_args_file = self.checkpoints / "args.pt"
        self.is_new = False  # claimed by this process
        self._release: Callable[[], None] | None = None

    @classmethod
    def claim(cls, log_path: str | Path, args: dict | None = None) -> RunDirectory:
        """Make `version_<n>` with the next free n, and hold it. Runs that start together get different ones.

        It appears at once with its arguments and the status `running`: a process that is killed leaves none without. In
        a Slurm array it is `version_<array job>_<task>`. Raises UserError where the folder cannot be made.
        """
        log_path = Path(log_path)
        begun = cls(log_path / f".{secrets.token_hex(8)}{UNBORN}")
        try:
            begun.checkpoints.mkdir(parents=True)
            begun.write_args(args or {})
            begun.write_running()
            names = itertools.chain(_scheduler_names(), _numbered_names(log_path))
            while True:
                run = cls(log_path / next(names))
                try:
                    begun.path.rename(run.path)  # of several processes, one succeeds
                except OSError as error:
                    if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                        raise
                    continue
                run.is_new = True
                run.hold()
                return run
        except OSError as error:
            raise UserError(f"--log-path {log_path}: {error.strerror}; give a folder that can be written") from error
        finally:
            shutil.rmtree(begun.path, ignore_errors=True)

    @property
    def is_run(self) -> bool:
        """Whether a run lies here, of this project or of the authors' code."""
        return self.args_file.is_file() or self.reference_args_file.is_file()

    @classmethod
    def existing(cls, path: str | Path, flag: str = "--log-path") -> RunDirectory:
        """A run made earlier, here or by the authors' code. Raises UserError, naming `flag`, where `path` is none."""
        run = cls(path)
        if not run.is_run:
            raise UserError(
                f"{flag} {path} holds neither args.json nor checkpoints/args.pt: name one run, such as logs/version_0"
            )
        return run

    def hold(self) -> bool:
        """Take the run for this process; False where another process has it. The kernel frees it when one dies."""
        try:
            release = lock(self.path / ".lock")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}); fix its permissions") from error
        if release is None:
            return False
        self._release = release
        return True

    def release(self) -> None:
        """Let other processes take the run."""
        if self._release is not None:
            self._release()
            self._release = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Release the run after the body. A new run that fails before its first checkpoint is removed."""
        try:
            yield
        except BaseException:
            if self.is_new and not self.training_file.exists():
                shutil.rmtree(self.path, ignore_errors=True)
            raise
        finally:
            self.release()

    def kept_file(self, epoch: int) -> Path:
        """The weights that --keep-epochs keeps after the epoch. Their scores are `scores_epoch_<epoch>.json`."""
        return self.checkpoints / f"model_epoch_{epoch}.pt"

    def kept_epochs(self) -> list[int]:
        """The epochs after which the weights were kept, in order."""
        numbers = (file.stem.removeprefix("model_epoch_") for file in self.checkpoints.glob("model_epoch_*.pt"))
        return sorted(int(number) for number in numbers if number.isdecimal())

    def weights_file(self, epoch: int | None = None) -> Path:
        """The newest weights, or those kept after an epoch. Raises UserError where these were not kept."""
        if epoch is None:
            return self.model_file
        if not self.kept_file(epoch).is_file():
            kept = ", ".join(map(str, self.kept_epochs())) or "none"
            raise UserError(
                f"--epoch {epoch}: {self.path} has the weights of these epochs: {kept}; name one of them, or leave the "
                "flag out to score the newest weights (--keep-epochs keeps more)"
            )
        return self.kept_file(epoch)

    def write_args(self, args: dict) -> None:
        """Record the arguments (plain data) of the run."""
        write_text(self.args_file, json.dumps(args, indent=2, sort_keys=True) + "\n")

    def read_args(self) -> dict:
        """The recorded arguments, from args.json or the reference args.pt. Raises UserError where it is damaged."""
        if not self.args_file.is_file() and self.reference_args_file.is_file():
            from logger.reference_args import load_args  # imports torch

            return load_args(self.reference_args_file)
        return read_json(self.args_file)

    def write_status(self, state: str, **more) -> None:
        """Record how the run stands: `running`, `interrupted`, `failed` or `finished`."""
        content = {"state": state, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **more}
        write_text(self.status_file, json.dumps(content, indent=2) + "\n")

    def write_running(self, **more) -> None:
        """Record that this process trains it."""
        self.write_status("running", host=platform.node(), process=os.getpid(), **more)

    @contextlib.contextmanager
    def training(self, **environment) -> Iterator[None]:
        """Record how the body goes: `running`, then `finished`, `interrupted` or `failed`.

        `environment` (plain data) is added to the session's entry in status.json.
        """
        session = {"started": _timestamp(time.time()), **environment}
        sessions = [*self.sessions(), session]
        try:
            self.write_running(sessions=sessions)
            yield
            session["stopped"] = _timestamp(time.time())
            self.write_status("finished", sessions=sessions)
        except BaseException as error:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(UserError):  # on a full disk this fails too
                session["stopped"] = _timestamp(time.time())
                self.write_status(state, reason=str(error) or type(error).__name__, sessions=sessions)
            raise

    def state(self) -> str:
        """The state recorded last; `unknown` where there is none."""
        return str(self._status().get("state", "unknown"))

    def sessions(self) -> list[dict]:
        """When, on what machine and with which revision of the code the run was trained, session by session.

        A session that is under way, or was killed, has stopped at the last checkpoint: what came later is not kept.
        """
        sessions = self._status().get("sessions", [])
        if not isinstance(sessions, list) or not all(isinstance(s, dict) and "started" in s for s in sessions):
            return []  # not written by a run
        if sessions and "stopped" not in sessions[-1] and self.training_file.is_file():
            sessions[-1]["stopped"] = max(_timestamp(self.training_file.stat().st_mtime), str(sessions[-1]["started"]))
        return sessions

    def _status(self) -> dict:
        try:
            return read_json(self.status_file)
        except UserError:
            return {}

    def append_metrics(self, values: dict[str, float]) -> None:
        """Add lines `tag : value` to log_metrics.txt, in one write."""
        lines = "".join(f"{tag} : {value}\n" for tag, value in values.items())
        with open(self.metrics_file, "a", encoding="utf-8") as file:
            file.write(lines)


def _timestamp(seconds: float) -> str:
    """Seconds since 1970 as UTC, to the second: `2026-01-31T12:00:00Z`. They sort as they follow one another."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def for_results(run: RunDirectory, result_path: str | Path | None) -> RunDirectory:
    """Where an evaluation of the run is written: into the run, or the folder `result_path`, which is made.

    Raises UserError where that cannot be written.
    """
    if result_path is None:
        existed = run.evaluations_file.exists()
        try:
            with open(run.evaluations_file, "ab"):
                pass
            if not existed:
                run.evaluations_file.unlink()
            return run
        except OSError as error:
            raise UserError(
                f"--log-path {run.path} cannot be written ({error.strerror}): name a folder for the scores with "
                "--result-path"
            ) from error
    check_log_path(result_path, "--result-path")
    target = RunDirectory(result_path)
    target.path.mkdir(parents=True, exist_ok=True)
    return target


def check_log_path(log_path: str | Path, flag: str = "--log-path") -> None:
    """Raises UserError, naming the flag, where no run could be made below `log_path`."""
    path = Path(log_path)
    existing = next(folder for folder in [path, *path.absolute().parents] if os.path.lexists(folder))
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"{flag} {log_path} cannot be written; give another folder")


def versions(log_path: str | Path) -> list[RunDirectory]:
    """The runs `version_*` under the folder, the newest first: by their numbers, not by the alphabet."""
    numbered = []
    for path in Path(log_path).glob("version_*"):
        numbers = path.name.removeprefix("version_").split("_")
        if path.is_dir() and all(number.isdecimal() for number in numbers):
            numbered.append((tuple(map(int, numbers)), path))
    return [RunDirectory(path) for _, path in sorted(numbered, reverse=True)]


def array_task() -> tuple[str, str] | None:
    """Job and task of the Slurm array that this process belongs to."""
    job, task = os.environ.get("SLURM_ARRAY_JOB_ID", ""), os.environ.get("SLURM_ARRAY_TASK_ID", "")
    return (job, task) if job.isdecimal() and task.isdecimal() else None


def _scheduler_names():
    """The name that belongs to the array task, then the same with a number for its later runs."""
    if task := array_task():
        name = "version_{}_{}".format(*task)
        yield name
        yield from (f"{name}_{n}" for n in itertools.count(1))


def _numbered_names(log_path: Path):
    newest = max((int(run.path.name[8:]) for run in versions(log_path) if run.path.name[8:].isdecimal()), default=-1)
    return (f"version_{n}" for n in itertools.count(newest + 1))
