"""TensorBoard, the text log, run directories, checkpoints, pictures and reports; and the way back from a run."""

from logger.reading import Run, find_runs, read_run, read_runs

__all__ = ["Run", "find_runs", "read_run", "read_runs"]
