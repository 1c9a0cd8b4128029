"""The directory of one run, `<log-path>/version_<n>`: its files, its state and its lock."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path

from system.errors import UserError
from system.files import can_be_written, load_tensors, lock, read_json, write_text


class RunDirectory:
    """Paths of the files of one run; besides these, TensorBoard's `events.*`, and pictures. The directory exists."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.args_file = self.path / "args.json"  # the arguments, from which --evaluate rebuilds the model
        self.status_file = self.path / "status.json"  # the state, and why; every session with its environment
        self.metrics_file = self.path / "log_metrics.txt"  # lines `tag : value`, the newest last
        self.scalars_file = self.path / "scalars.csv"  # every number that TensorBoard shows, with its step
        self.scores_file = self.path / "scores.json"  # the scores with their protocol
        self.codes_file = self.path / "codes.npz"  # mean codes of the images scored
        # The scores of every --evaluate, one per line; not rewound when the run is continued.
        self.evaluations_file = self.path / "evaluations.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.model_file = self.checkpoints / "model.pt"  # the state dict in the reference layout
        self.training_file = self.checkpoints / "training.pt"  # the last two checkpoints
        self.previous_training_file = self.checkpoints / "training.previous.pt"
        self.reference_args_file = self.checkpoints / "args.pt"  # in runs of the authors' code
        self.is_new = False  # made by this process, and without a checkpoint so far
        self._release: Callable[[], None] | None = None

    @property
    def is_run(self) -> bool:
        """Whether this is a run, of this project or of the authors' code."""
        return self.args_file.is_file() or self.reference_args_file.is_file()

    @classmethod
    def existing(cls, path: str | Path, flag: str = "--log-path") -> RunDirectory:
        """An existing run, of this project or of the authors' code. Raises UserError, naming `flag`, if it is none."""
        run = cls(path)
        if not run.is_run:
            raise UserError(
                f"{flag} {path} holds neither args.json nor checkpoints/args.pt: name one run, such as logs/version_0"
            )
        return run

    def hold(self) -> bool:
        """Lock the run; False if another process has locked it. The kernel releases the lock when a process dies."""
        try:
            self._release = lock(self.path / ".lock")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}); fix its permissions") from error
        return self._release is not None

    def release(self) -> None:
        """Unlock the run."""
        if self._release is not None:
            self._release()

    def kept_file(self, epoch: int) -> Path:
        """The file of the weights that --keep-epochs keeps after this epoch."""
        return self.checkpoints / f"model_epoch_{epoch}.pt"

    def kept_epochs(self) -> list[int]:
        """The epochs whose weights were kept, in order."""
        numbers = (file.stem.removeprefix("model_epoch_") for file in self.checkpoints.glob("model_epoch_*.pt"))
        return sorted(int(number) for number in numbers if number.isdecimal())

    def weights_of(self, epoch: int) -> Path:
        """The file of the weights kept after an epoch. Raises UserError if they were not kept."""
        if not self.kept_file(epoch).is_file():
            kept = ", ".join(map(str, self.kept_epochs())) or "none"
            raise UserError(
                f"--epoch {epoch}: {self.path} has the weights of these epochs: {kept}; name one of them, or leave the "
                "flag out to score the newest weights (--keep-epochs keeps more)"
            )
        return self.kept_file(epoch)

    def write_args(self, args: dict) -> None:
        """Write args.json. args: plain data."""
        write_text(self.args_file, json.dumps(args, indent=2, sort_keys=True) + "\n")

    def read_args(self) -> dict:
        """The recorded arguments, from args.json or the reference args.pt. Raises UserError if the file is damaged."""
        if not self.args_file.is_file() and self.reference_args_file.is_file():
            return reference_args(self.reference_args_file)
        return read_json(self.args_file)

    def write_status(self, state: str, **more) -> None:
        """Write status.json. state: `running`, `interrupted`, `failed` or `finished`."""
        content = {"state": state, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **more}
        write_text(self.status_file, json.dumps(content, indent=2) + "\n")

    def write_running(self, **more) -> None:
        """Write to status.json that this process trains the run."""
        self.write_status("running", host=platform.node(), process=os.getpid(), **more)

    @contextlib.contextmanager
    def training(self, **environment) -> Iterator[None]:
        """Write the state of the body to status.json: `running`, then `finished`, `interrupted` or `failed`.

        `environment` (plain data) is added to the session's entry in status.json.
        """
        session = {"started": timestamp(time.time()), **environment}
        sessions = [*self.sessions(), session]
        try:
            self.write_running(sessions=sessions)
            yield
            session["stopped"] = timestamp(time.time())
            self.write_status("finished", sessions=sessions)
        except BaseException as error:
            state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(UserError):  # on a full disk this fails too
                session["stopped"] = timestamp(time.time())
                self.write_status(state, reason=str(error) or type(error).__name__, sessions=sessions)
            raise

    def launches(self) -> set[str]:
        """The torchruns that trained this run, see `system.processes.Group.launch`."""
        return {str(part["launch"]) for part in [self._status(), *self.sessions()] if "launch" in part}

    def state(self) -> str:
        """The state in status.json; `unknown` if there is none."""
        return str(self._status().get("state", "unknown"))

    def sessions(self) -> list[dict]:
        """Each session of the run: start and end time, and environment.

        A session that is running, or was killed, ends at the last checkpoint, because later steps are not kept.
        """
        sessions = self._status().get("sessions", [])
        if not isinstance(sessions, list) or not all(isinstance(s, dict) and "started" in s for s in sessions):
            return []  # not written by a run
        if sessions and "stopped" not in sessions[-1] and self.training_file.is_file():
            sessions[-1]["stopped"] = max(timestamp(self.training_file.stat().st_mtime), str(sessions[-1]["started"]))
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


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as UTC: `2026-01-31T12:00:00Z`. Sorts by time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def reference_args(path: Path) -> dict:
    """The arguments in an args.pt of the reference layout, a pickled argparse.Namespace.

    Raises UserError as `load_tensors` does.
    """
    content = load_tensors(path, allowed=(Namespace,))
    if isinstance(content, Namespace):
        content = vars(content)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path} holds no arguments; restore it or train again")
    return {name: _unquoted(value) for name, value in content.items()}


def _unquoted(value):
    """Lists and None may have been recorded as the text that the command line held."""
    if isinstance(value, str) and (value.startswith("[") or value == "None"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value.replace("None", "null"))
    return value


def for_results(run: RunDirectory, result_path: str | Path | None) -> RunDirectory:
    """The directory for the results of --evaluate: the run, or `result_path`, which is made.

    Raises UserError if it cannot be written.
    """
    if result_path is None:
        if not can_be_written(run.path):
            raise UserError(f"--log-path {run.path} cannot be written: name a folder for the scores with --result-path")
        return run
    check_log_path(result_path, "--result-path")
    target = RunDirectory(result_path)
    if target.args_file.exists():
        raise UserError(f"--result-path {result_path} is a run, whose scores would be replaced: name another folder")
    target.path.mkdir(parents=True, exist_ok=True)
    return target


def check_log_path(log_path: str | Path, flag: str = "--log-path") -> None:
    """Raise UserError, naming the flag, if no run can be made below `log_path`."""
    if not can_be_written(Path(log_path)):
        raise UserError(f"{flag} {log_path} cannot be written; give another folder")


def versions(log_path: str | Path) -> list[RunDirectory]:
    """The runs `version_<n>` in the folder, in descending order of n."""
    numbered = []
    for path in Path(log_path).glob("version_*"):
        numbers = path.name.removeprefix("version_").split("_")
        if path.is_dir() and all(number.isdecimal() for number in numbers):
            numbered.append((tuple(map(int, numbers)), path))
    return [RunDirectory(path) for _, path in sorted(numbered, reverse=True)]
