"""Cutting a batch over processes. (Whole runs over two processes: tests/logger/test_two_processes.py.)"""

import pytest
import torch

from system.processes import Group


def group(monkeypatch, rank: int, size: int) -> Group:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("WORLD_SIZE", str(size))
    return Group()


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("n", [1, 2, 7, 64])
def test_weighted_parts_make_up_the_batch(n, size, monkeypatch):
    values = torch.rand(n, dtype=torch.float64)
    groups = [group(monkeypatch, rank, size) for rank in range(size)]
    mean = sum(values[g.part(n)].mean() * g.weight(n) for g in groups) / size
    torch.testing.assert_close(mean, values.mean())
    assert sum(g.weight(n) for g in groups) == pytest.approx(size)
    real = [i for g in groups if g.weight(n) for i in range(n)[g.part(n)]]
    assert real == list(range(n))


def test_alone_nothing_changes(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    alone, model, terms = Group(), torch.nn.Linear(1, 1), {"loss": torch.ones(())}
    assert alone.is_main and alone.part(5) == slice(0, 5) and alone.weight(5) == 1
    assert alone.wrap(model, torch.device("cpu")) is model
    assert alone.mean(terms, 5) is terms
    assert alone.any(True) and not alone.any(False)
    assert alone.broadcast(lambda: {"a": 1}) == {"a": 1}
