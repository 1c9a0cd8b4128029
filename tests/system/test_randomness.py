"""The streams of a run are independent; the global generators are seeded, taken, put back."""

import random

import numpy as np
import pytest
import torch

from system import randomness


def draw() -> list:
    return [random.random(), np.random.rand(3).tolist(), np.random.randn(), torch.rand(3).tolist()]


def test_one_seed_seeds_all_three():
    randomness.seed_all(2**32 - 1)
    first = draw()
    randomness.seed_all(3)
    other = draw()
    randomness.seed_all(2**32 - 1)
    assert draw() == first
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_states_come_back():
    randomness.seed_all(0)
    draw()  # of a pair of normal numbers, NumPy keeps the second
    states = randomness.states()
    first = draw()
    randomness.restore(states)
    assert draw() == first


def test_what_the_body_draws_is_as_if_it_had_not_been():
    randomness.seed_all(1)
    expected = draw()
    randomness.seed_all(1)
    with randomness.kept():
        draw()
    assert draw() == expected


def test_streams_seeds_and_indices_are_independent_of_one_another():
    seeds = [
        randomness.stream_seed(seed, stream, *at)
        for seed in (0, 1)
        for stream in randomness.STREAMS
        for at in ((0,), (1,), (2,))
    ]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**63 for seed in seeds)  # a torch generator takes these


def test_an_order_holds_every_index_once_and_repeats_for_its_seed_alone():
    index = np.arange(100, 200)
    first, again, other = (randomness.permutation(index, 0, "order", epoch) for epoch in (0, 0, 1))
    assert sorted(first) == list(index) and (first == again).all() and (first != other).any()


def test_a_run_on_the_cpu_leaves_the_gpus_of_the_machine_alone(monkeypatch):
    """To read the state of a GPU's generator takes half a gigabyte of its memory."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: pytest.fail("the GPU was started"))
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda states: pytest.fail("the GPU was started"))
    states = randomness.states()
    assert states["cuda"] == []
    randomness.restore({**states, "cuda": [states["torch"]]})
