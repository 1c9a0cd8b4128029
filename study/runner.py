"""Starts missing runs of the plan and continues interrupted ones, each in a process with one thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from logger.run_directory import RunDirectory, versions
from study import plan
from study.harvest import ROOT, adopt, record, status
from system.errors import UserError
from system.signals import EXIT_STATUS, stop_signals

HOW = ["--num-threads=1", "--quiet"]
TRAINED, FINISHED = "trained", "finished"  # outcomes: weights are to be scored, and nothing is left to do


class Runner:
    """Runs main.py under `logs`/<configuration>/seed_<n>. A signal of `stop_signals` stops them after a checkpoint."""

    def __init__(self, study: Path, logs: Path, data: Path | None = None, machine: Sequence[str] = ()):
        """data: folder with a folder for each data set's official file; None: use the replicas.

        machine: flags of main.py for this machine, which change no result but its last digits, such as --compile.
        """
        self.study, self.logs, self.data, self.machine = study, logs, data, machine
        self.stopping = False
        self._live: set[subprocess.Popen] = set()
        # No signal is handled between the start of a process and its entry in the set; one may come during another.
        self._lock = threading.RLock()

    def run(self, jobs: Sequence, at_once: int, after: Callable[[Path, bool], None]) -> int:
        """Run the jobs, `at_once` at a time.

        Args:
            after: called with the run directory of each when it is trained, scored, or stopped, and with whether it
                is complete.

        Returns: 0, 1 if a run failed, or EXIT_STATUS if stopped by a signal.
        """
        handlers = {number: signal.signal(number, self._stop) for number in stop_signals()}
        failed = False
        try:
            with ThreadPoolExecutor(at_once) as pool:
                pending = {pool.submit(self._train, *job): job for job in jobs}
                try:
                    while pending:
                        # A signal that arrives just before `wait` does not interrupt it, hence the timeout.
                        for future in wait(pending, timeout=1, return_when=FIRST_COMPLETED).done:
                            configuration, seed = job = pending.pop(future)
                            outcome, run = self._conclude(future, after)
                            if run and outcome == TRAINED:  # all runs are trained before any is scored
                                pending[pool.submit(self._score, configuration, run)] = job
                            elif outcome != "not started":
                                print(f"{configuration.name} seed {seed}: {outcome}", flush=True)
                            failed |= outcome.startswith("failed")
                except BaseException:  # else the pool would make all other runs before the error is seen
                    self._stop()
                    raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return EXIT_STATUS if self.stopping else int(failed)

    def _conclude(self, future: Future, after: Callable[[Path, bool], None]) -> tuple[str, Path | None]:
        """Call `after` on a run that was trained, scored or stopped. Returns the outcome, and the run directory."""
        try:
            outcome, run = future.result()
            if run is not None:
                after(run, outcome == FINISHED)
            return outcome, run
        except (UserError, OSError) as error:
            return f"failed: {error}", None

    def _train(self, configuration: plan.Configuration, seed: int) -> tuple[str, Path | None]:
        """Train a run to the end. Returns the outcome, TRAINED if its weights are to be scored, and its directory."""
        if self.stopping:
            return "not started", None
        log_path = self.logs / configuration.name / f"seed_{seed}"
        if adopt(self.study, configuration.name, seed, log_path):
            print(f"{configuration.name} seed {seed}: continues from its saved state", flush=True)
        elif not versions(log_path) and (epochs := status(record(self.study, configuration, seed)).get("epochs")):
            print(f"{configuration.name} seed {seed}: starts from scratch; its recorded {epochs} epochs left no state")
        flags = [*configuration.command(seed), "--resume=once", f"--log-path={log_path}", *self._data(configuration)]
        outcome = self._main_py(flags, log_path)
        runs = [run for run in versions(log_path) if run.args_file.is_file()]
        if not runs:
            return outcome or "failed: no run directory was created", None
        run = next((run for run in runs if run.state() == "finished"), runs[0])
        if outcome is None and run.state() != "finished":
            return "running in another process", run.path
        return outcome or (TRAINED if configuration.full else FINISHED), run.path

    def _score(self, configuration: plan.Configuration, path: Path) -> tuple[str, Path]:
        """Score the kept weights of a trained run by the full protocol. Returns as `_train`."""
        for epoch in RunDirectory(path).kept_epochs():
            if not (path / f"scores_epoch_{epoch}.json").is_file():
                flags = ["--evaluate", f"--epoch={epoch}", "--metric-preset=full", f"--log-path={path}"]
                if outcome := self._main_py([*flags, *self._data(configuration)], path.parent):
                    return outcome, path
        return FINISHED, path

    def _data(self, configuration: plan.Configuration) -> list[str]:
        return [f"--data-path={self.data / configuration.flags['dataset']}"] if self.data else []

    def _main_py(self, flags: list[str], log_path: Path) -> str | None:
        """Run main.py, with its output in <log_path>/output.txt. Returns None, or what went wrong."""
        log_path.mkdir(parents=True, exist_ok=True)
        output = log_path / "output.txt"
        with open(output, "ab") as file:
            with self._lock:
                if self.stopping:
                    return "stopped"
                command = [sys.executable, "main.py", *flags, *HOW, *self.machine]
                environment = {**os.environ, "OMP_NUM_THREADS": "1"}
                process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
                self._live.add(process)
            code = process.wait()
            self._live.discard(process)
        if code == 0:
            return None
        if self.stopping or code == EXIT_STATUS:
            return "stopped; the same command continues it"
        lines = output.read_text(encoding="utf-8", errors="replace").split("\n")
        return f"failed with status {code}: {next((line for line in reversed(lines) if line), '')} (see {output})"

    def _stop(self, *_) -> None:
        with self._lock:
            self.stopping = True
            for process in list(self._live):
                process.terminate()


def missing(study: Path, logs: Path, names: Sequence[str] | None) -> list[tuple[plan.Configuration, int]]:
    """The jobs of the plan without a complete record, or with a run directory in `logs` but without planned scores."""
    found = []
    for configuration, seed in plan.jobs(names):
        folder = record(study, configuration, seed)
        scored = not configuration.full or (folder / f"scores_epoch_{configuration.epochs}.json").is_file()
        here = versions(logs / configuration.name / f"seed_{seed}")
        if status(folder).get("state") != "finished" or (here and not scored):
            found.append((configuration, seed))
    return found
