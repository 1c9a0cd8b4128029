"""Cutting a batch over processes. (Whole runs over two processes: tests/logger/test_two_processes.py.)"""

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist

from system.errors import UserError
from system.processes import TIMEOUT, Group


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
    alone, terms = Group(), {"loss": torch.ones(())}
    assert alone.is_main and alone.part(5) == slice(0, 5) and alone.weight(5) == 1
    assert alone.mean(terms, 5) is terms
    assert alone.any(True) and not alone.any(False)
    assert alone.broadcast(lambda: {"a": 1}) == {"a": 1}


def test_torchrun_says_whether_the_processes_were_restarted(monkeypatch):
    for count, restarted in (("0", False), ("1", True)):
        monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", count)
        assert Group().restarted is restarted


def test_gradients_are_averaged_before_the_step(monkeypatch):
    one = group(monkeypatch, 0, 2)
    monkeypatch.setattr(
        dist, "all_reduce", lambda flat: flat.add_(torch.tensor([5.0, 6.0, 7.0]))
    )  # halves of 10, 12, 14
    used, unused = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([used, unused], lr=1.0)
    one.average_gradients([optimiser])
    (used * torch.tensor([2.0, 4.0, 6.0])).sum().backward()
    optimiser.step()
    assert used.tolist() == [-6.0, -8.0, -10.0] and unused.tolist() == [0.0]


def test_loss_terms_of_the_parts_make_up_those_of_the_batch(monkeypatch):
    values, sent = torch.rand(3, 2), []  # parts of one image and of two
    monkeypatch.setattr(dist, "all_reduce", lambda flat, *_: sent.append(flat.clone()))
    for rank in range(2):
        one = group(monkeypatch, rank, 2)
        assert one.is_main is (rank == 0)
        part = values[one.part(3)]
        terms = {"loss": part.mean(), "kl_per_latent": part.mean(dim=0)}
        shapes = {name: term.shape for name, term in one.mean(terms, 3).items()}
        assert shapes == {"loss": (), "kl_per_latent": (2,)}
    torch.testing.assert_close(sent[0] + sent[1], torch.cat([values.mean()[None], values.mean(dim=0)]))


def test_only_what_fails_in_a_message_is_a_lost_process(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("broken pipe")

    two, patience = group(monkeypatch, 1, 2), []
    monkeypatch.setattr(dist, "init_process_group", lambda *_, timeout, **__: patience.append(timeout))
    monkeypatch.setattr(two, "_store", lambda: None)
    with (
        pytest.raises(UserError, match="--device meta has no way to connect processes"),
        two.joined(torch.device("meta")),
    ):
        pass
    with pytest.raises(RuntimeError, match="connection of the layers"), two.joined(torch.device("cpu")):
        raise RuntimeError("connection of the layers")
    assert patience[0] >= timedelta(hours=4)  # while the main process scores
    monkeypatch.setattr(dist, "all_reduce", fail)
    monkeypatch.setattr(dist, "broadcast_object_list", fail)
    for message in (lambda: two.any(True), lambda: two.mean({"loss": torch.ones(())}, 4), lambda: two.broadcast(dict)):
        with pytest.raises(UserError, match=r"process 1 of 2 lost another one \(broken pipe\)"):
            message()


def test_after_they_have_met_processes_wait_for_one_another_as_long_as_scoring_takes(monkeypatch):
    """Short tries are for the meeting alone: a process may come to the first message much later than another."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_PORT", str(free.getsockname()[1]))
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    groups = [group(monkeypatch, rank, 2) for rank in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        stores = list(pool.map(lambda one: one._store(), groups))
    assert [store.timeout for store in stores] == [TIMEOUT, TIMEOUT]
