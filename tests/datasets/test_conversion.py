import threading

import numpy as np
import pytest

from datasets import conversion
from datasets.conversion import mapped, read_ahead


def test_mapped_array_is_the_files_bytes_and_read_only(tmp_path, is_mapped):
    path = tmp_path / "file"
    path.write_bytes(b"head" + bytes(range(24)))
    array = mapped(path, (2, 3, 4), 4)
    assert array.tolist() == np.arange(24).reshape(2, 3, 4).tolist()
    assert is_mapped(array)
    with pytest.raises(ValueError):
        array[0] = 0


def test_a_file_too_short_for_its_shape_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(10))
    with pytest.raises(ValueError):
        mapped(path, (2, 3), 5)


def test_reading_ahead_reads_to_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(3 * 2**20 + 5))
    reader = read_ahead(path)
    reader.join(10)
    assert not reader.is_alive()
    assert reader.daemon


def test_what_cannot_be_read_ahead_is_left(tmp_path, monkeypatch):
    raised = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    read_ahead(tmp_path).join(10)  # a folder cannot be opened, like a file that was deleted
    assert not raised


def test_a_file_larger_than_the_free_memory_is_not_read_ahead(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    monkeypatch.setattr(conversion.Path, "read_text", lambda _: "MemTotal: 9 kB\nMemAvailable:  1 kB\nBuffers: 5 kB\n")
    assert read_ahead(path) is None


def test_copies_of_sources_of_one_name_stay_apart_in_the_cache(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(conversion, "can_be_written", lambda directory: directory.parent != tmp_path)
    for _ in range(2):  # made, and found again
        for number in (1, 2):
            source, values = tmp_path / str(number) / "source", np.full(5, number, np.uint8)
            source.parent.mkdir(exist_ok=True)
            array, _ = conversion.convert_once(
                source, "any", ".npy", {}, values.nbytes, lambda handle, values=values: np.save(handle, values) or {}
            )
            assert (array == values).all()
    assert len(list((cache / "any").glob("*.npy"))) == 2


@pytest.mark.parametrize("where", [0.1, 0.5, 1.0])
def test_a_flipped_byte_of_the_packed_copy_is_said_and_it_is_made_again(where, tmp_path, capsys):
    source = tmp_path / "source"
    source.write_bytes(b"whatever")
    values = np.arange(3000, dtype=np.uint8)

    def convert() -> np.ndarray:
        array, _ = conversion.convert_once(
            source, "any", ".npy", {"k": 1}, values.nbytes, lambda handle: np.save(handle, values) or {}
        )
        return np.array(array)

    assert (convert() == values).all()
    assert "warning" not in capsys.readouterr().err
    packed = tmp_path / "source.npy"
    content = bytearray(packed.read_bytes())
    content[int(where * (len(content) - 1))] ^= 0x10
    packed.write_bytes(content)
    assert (convert() == values).all()
    assert f"warning: {packed} is damaged (checksum differs)" in capsys.readouterr().err
    assert (convert() == values).all()
    assert capsys.readouterr().err == ""
