"""The store: written once, mapped, made again when its source changes; and what is drawn into the cache."""

import threading

import numpy as np
import pytest

from datasets import dsprites, load_dataset, store
from datasets.render import dsprites as renderer
from datasets.store import build, in_threads, mapped, read_ahead, replica
from system.errors import UserError


def built(source, values: np.ndarray, key=1, **how) -> np.ndarray:
    return build("any", source, "raw", key, values.shape, lambda: iter([values]), progress=False, **how).images


def test_images_are_written_once_and_then_mapped(tmp_path, is_mapped):
    values, source = np.arange(24, dtype=np.uint8).reshape(6, 4), tmp_path / "source"
    assert (built(source, values) == values).all()
    again = built(source, values + 1)  # not asked for
    assert (again == values).all() and is_mapped(again)
    with pytest.raises(ValueError):
        again[0] = 0
    assert (built(source, values + 1, key=2) == values + 1).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.raw.npy", "source.raw.npy.json"]


def test_images_are_put_into_their_places_and_may_be_left_out(tmp_path):
    images = np.arange(4, dtype=np.uint8).reshape(4, 1)
    sorted_ = build("any", tmp_path / "a", "raw", 1, (4, 1), lambda: iter([images]), places=np.array([2, 0, 3, 1]))
    assert sorted_.images.ravel().tolist() == [1, 3, 0, 2]
    some = build("any", tmp_path / "b", "raw", 1, (4, 1), lambda: iter([images[:2], None, images[3:]]))
    assert some.images.ravel().tolist() == [0, 1, 3] and some.note["left_out"] == [2]
    with pytest.raises(UserError, match="none of the 4 images can be read"):
        build("any", tmp_path / "c", "raw", 1, (4, 1), lambda: iter([None] * 4))
    assert not (tmp_path / "c.raw.npy").exists()


def test_lines_are_said_at_each_opening_and_black_pictures_are_told(tmp_path, capsys):
    for _ in range(2):
        built(tmp_path / "source", np.zeros((2, 3), np.uint8), said=lambda: ["masks"])
        told = [f"note: {tmp_path / 'source'}: {line}" for line in ("masks", "every picture is black")]
        assert capsys.readouterr().err.splitlines() == told


def test_a_copy_that_was_cut_off_is_made_again(tmp_path):
    values, file = np.arange(200, dtype=np.uint8), tmp_path / "source.raw.npy"
    built(tmp_path / "source", values)
    file.write_bytes(file.read_bytes()[:150])
    assert (built(tmp_path / "source", values) == values).all()


def test_copies_of_sources_of_one_name_stay_apart_in_the_cache(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(store, "can_be_written", lambda directory: directory.parent != tmp_path)
    for _ in range(2):  # made, and found again
        for number in (1, 2):
            source = tmp_path / str(number) / "source"
            source.parent.mkdir(exist_ok=True)
            assert (built(source, np.full(5, number, np.uint8)) == number).all()
    assert len(list((cache / "any").glob("*.npy"))) == 2


def test_no_room_anywhere_says_how_much_is_needed_and_counts_what_was_written(tmp_path, monkeypatch):
    values = np.zeros(2**20, np.uint8)
    monkeypatch.setattr(store, "free_bytes", lambda _: store.SPARE)
    with pytest.raises(UserError, match=r"18 MB of disk are needed once.* has 17 MB.*LIE_VAE_CACHE"):
        built(tmp_path / "source", values)
    (tmp_path / "source.raw.npy.partial").write_bytes(bytes(2**20 + 200))  # of a process that was killed
    assert len(built(tmp_path / "source", values)) == 2**20


def test_work_in_threads_keeps_the_order_and_bounds_what_is_in_memory(monkeypatch):
    monkeypatch.setattr(store, "BYTES_AT_ONCE", 30)
    taken, seen = [], []

    def items():
        for number in range(20):
            taken.append(number)
            yield np.full(10, number, np.uint8)

    for number, result in enumerate(in_threads(lambda item: int(item[0]), items())):
        assert result == number
        seen.append(len(taken) - number)
    assert max(seen) <= 4


def test_mapped_array_is_the_files_bytes(tmp_path, is_mapped):
    path = tmp_path / "file"
    path.write_bytes(b"head" + bytes(range(24)))
    array = mapped(path, (2, 3, 4), 4)
    assert array.tolist() == np.arange(24).reshape(2, 3, 4).tolist() and is_mapped(array)
    with pytest.raises(ValueError):  # too short
        mapped(path, (2, 3, 4), 5)


def test_reading_ahead_reads_to_the_end_and_leaves_what_it_cannot_read(tmp_path, monkeypatch):
    path, raised = tmp_path / "file", []
    path.write_bytes(bytes(3 * 2**20 + 5))
    reader = read_ahead(path)
    reader.join(10)
    assert not reader.is_alive() and reader.daemon
    monkeypatch.setattr(threading, "excepthook", raised.append)
    read_ahead(tmp_path).join(10)  # a folder cannot be opened, like a file that was deleted
    assert not raised
    monkeypatch.setattr(store.Path, "read_text", lambda _: "MemTotal: 9 kB\nMemAvailable:  1 kB\nBuffers: 5 kB\n")
    assert read_ahead(path) is None  # larger than the free memory


def test_a_replica_is_drawn_once_a_version_and_said(cache, capsys):
    for version, state in ((1, "drawing"), (1, "using"), (2, "drawing")):
        images = replica("any", version, (4,), lambda version=version: iter([np.full(4, version, np.uint8)]), False)
        assert (images == version).all()
        assert capsys.readouterr().err == f"no --data-path given: {state} the replica of any in {cache / 'any'}\n"


def test_without_a_path_dsprites_and_its_variants_are_the_replica(monkeypatch):
    monkeypatch.setattr(dsprites, "FACTORS", {**dsprites.FACTORS, "shape": 1, "scale": 1, "orientation": 2})
    monkeypatch.setattr(renderer, "FACTORS", dsprites.FACTORS)
    dataset = load_dataset("dsprites", progress=False)
    assert (dataset.source, len(dataset)) == ("replica", 2048)
    index = np.arange(0, 2048, 41)
    assert (dataset.uint8(index) == renderer.draw(dataset.index_to_factors(index))).all()
    assert len(load_dataset("color_dsprites", progress=False)) == 2048
