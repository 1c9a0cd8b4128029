"""The folder of one run, `<log-path>/version_<n>`: what lies where in it, and how a new one is claimed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import atomic
from errors import UserError


class RunDirectory:
    """Paths of one run's files. The folder exists.

    args.json            the arguments, readable, and all that --evaluate needs to rebuild the model
    log_metrics.txt      lines `tag : value`, the newest last
    scores.json          the scores with their protocol
    checkpoints/         model.pt (the state dict in the published layout) and what continues the run
    events.*             TensorBoard
    *.png                pictures
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.args_file = self.path / "args.json"
        self.metrics_file = self.path / "log_metrics.txt"
        self.scores_file = self.path / "scores.json"
        self.checkpoints = self.path / "checkpoints"
        self.model_file = self.checkpoints / "model.pt"

    @classmethod
    def claim(cls, log_path: str | Path) -> RunDirectory:
        """Make `version_<n>` with the next free n. Two runs that start together get two numbers: mkdir is atomic.

        Raises UserError where the folder cannot be made.
        """
        log_path = Path(log_path)
        try:
            log_path.mkdir(parents=True, exist_ok=True)
            taken = [int(n) for path in log_path.glob("version_*") if (n := path.name[len("version_") :]).isdigit()]
            for n in itertools.count(max(taken, default=-1) + 1):
                run = cls(log_path / f"version_{n}")
                try:
                    run.path.mkdir()
                except FileExistsError:
                    continue  # another run was faster
                run.checkpoints.mkdir()
                return run
        except OSError as error:
            raise UserError(f"--log-path {log_path}: {error.strerror}; give a folder that can be written") from error

    @classmethod
    def existing(cls, path: str | Path) -> RunDirectory:
        """A run that was made earlier. Raises UserError where `path` is not one."""
        run = cls(path)
        if not run.args_file.is_file():
            raise UserError(f"--log-path {path} holds no args.json: name one run, such as logs/version_0")
        return run

    def write_args(self, args: dict) -> None:
        """Record the arguments (plain data) of the run."""
        atomic.write_text(self.args_file, json.dumps(args, indent=2, sort_keys=True) + "\n")

    def read_args(self) -> dict:
        """The recorded arguments. Raises UserError where the file is damaged."""
        try:
            args = json.loads(self.args_file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{self.args_file} is no valid JSON ({error}); restore it or train again") from error
        if not isinstance(args, dict):
            raise UserError(f"{self.args_file} holds no arguments; restore it or train again")
        return args

    def append_metrics(self, values: dict[str, float]) -> None:
        """Add lines `tag : value` to log_metrics.txt, in one write."""
        lines = "".join(f"{tag} : {value}\n" for tag, value in values.items())
        with open(self.metrics_file, "a", encoding="utf-8") as file:
            file.write(lines)
