"""What a run left behind, in a form that two runs can be compared in."""

from pathlib import Path

import torch

# Flags that make of the tiny run one of the real model.
LIE_GROUP = ("--model", "lie_group", "--subgroup_sizes_ls", "[16]", "--subspace_sizes_ls", "[4]")


def scalars(run: Path) -> list[tuple[str, int, float]]:
    """(tag, step, value) of every scalar in the run's event files, repeated ones included, in a defined order.

    Left out are the tags that tell the time.
    """
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found = []
    for path in run.glob("events.*"):
        for event in LegacyEventFileLoader(str(path)).Load():
            found += [
                (value.tag, event.step, value.simple_value)
                for value in event.summary.value
                if value.HasField("simple_value") and not value.tag.startswith("8 run/")
            ]
    return sorted(found)


def training_state(run: Path) -> dict:
    """The last checkpoint, without what tells where and when it was made."""
    state = torch.load(run / "checkpoints" / "training.pt", weights_only=True)
    return {name: state[name] for name in ("model", "optimisers", "progress")}


def same(a, b) -> bool:
    """Whether two nested structures of tensors and plain data are equal to the bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def assert_equal_runs(run: Path, other: Path) -> None:
    """Parameters, optimisers, position, scalars and text log of two runs are equal to the bit."""
    assert same(training_state(run), training_state(other))
    model, other_model = (torch.load(r / "checkpoints" / "model.pt", weights_only=True) for r in (run, other))
    assert same(model, other_model)
    assert scalars(run) == scalars(other)
    rows = [[row for row in (r / "scalars.csv").read_text().splitlines() if ",speed/" not in row] for r in (run, other)]
    assert rows[0] == rows[1]
    assert (run / "log_metrics.txt").read_text() == (other / "log_metrics.txt").read_text()
