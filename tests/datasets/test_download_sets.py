"""Fetching data sets of several files, without a checksum, or by hand only, from the local server."""

import gzip
import hashlib
from dataclasses import replace

import miniatures
import numpy as np
import pytest
from local_publisher import BODY, MAGIC, page

from datasets import DATASETS, download, find, load_dataset
from datasets import digits as digits_module
from datasets.fetch import fetch, is_official
from datasets.spec import DataFile
from system.errors import UserError

DIGITS = gzip.compress(miniatures.idx(miniatures.noise(7, 28, 28)))


@pytest.fixture
def digits(publisher, monkeypatch):
    """MNIST's files as the local server has them: both the same seven digits."""
    digest = f"md5:{hashlib.md5(DIGITS).hexdigest()}"
    publisher.body = DIGITS

    def files(part="all", **_):
        names = {"all": ("train", "t10k"), "train": ("train",), "test": ("t10k",)}[part]
        names = [f"{split}-images-idx3-ubyte.gz" for split in names]
        return tuple(DataFile(name, publisher.url, b"\x1f\x8b", digest) for name in names)

    monkeypatch.setattr(digits_module, "MNIST", replace(digits_module.MNIST, files=files))


def test_missing_files_of_a_set_are_fetched_verified_and_read(digits, publisher, tmp_path):
    assert len(load_dataset("mnist", tmp_path, part="test", progress=False)) == 7
    assert len(publisher.asked) == 1  # the other split is not wanted
    dataset = load_dataset("mnist", tmp_path, progress=False)
    assert len(publisher.asked) == 2
    images = miniatures.noise(7, 28, 28)
    assert len(dataset) == 14
    first, second = dataset.uint8(np.arange(7)), dataset.uint8(np.arange(7, 14))
    assert (first == second).all() and len(images) == 7


def test_the_command_fetches_every_file_and_verifies_those_that_are_there(digits, publisher, tmp_path, capsys):
    assert download.main(["mnist", str(tmp_path), "--quiet"]) == 0
    names = ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"]
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / name) for name in names]
    (tmp_path / names[1]).write_bytes(DIGITS + b"more")
    assert download.main(["mnist", str(tmp_path), "--quiet"]) == 2
    assert f"{names[1]} is there already and is not the official file: move it away" in capsys.readouterr().err
    assert len(publisher.asked) == 2


def test_a_mirror_of_several_files_is_refused(digits, tmp_path, capsys):
    assert download.main(["mnist", str(tmp_path), "--url", "http://127.0.0.1/x"]) == 2
    assert "mnist has 2 files" in capsys.readouterr().err


def test_a_file_without_a_known_checksum_is_said_to_be_unverified(publisher, tmp_path, capsys):
    file = DataFile("3dshapes.h5", publisher.url, MAGIC)
    assert fetch(file, tmp_path, progress=False).read_bytes() == BODY
    digest = hashlib.sha256(BODY).hexdigest()
    said = f"3dshapes.h5 is unverified: no official checksum is known; received sha256:{digest}"
    assert said in capsys.readouterr().err


def test_the_command_fetches_a_file_without_a_known_checksum(publisher, tmp_path, capsys):
    for _ in range(2):
        assert download.main(["chairs3d", str(tmp_path), "--url", publisher.url, "--quiet"]) == 0
        printed = capsys.readouterr()
        assert printed.out == f"{tmp_path / 'rendered_chairs.tar'}\n"
        assert "rendered_chairs.tar is unverified: no official checksum is known" in printed.err
    assert len(publisher.asked) == 1


def test_a_page_for_people_is_no_file_even_where_its_beginning_is_unknown(publisher, tmp_path):
    publisher.steps = [page("text/html")]
    with pytest.raises(UserError, match="gave an HTML page in place of chairs.tar"):
        fetch(DataFile("chairs.tar", publisher.url, b""), tmp_path, progress=False)


def test_a_sha256_is_checked(publisher, tmp_path):
    digest = hashlib.sha256(BODY).hexdigest()
    file = DataFile("3dshapes.h5", publisher.url, MAGIC, f"sha256:{digest}")
    assert is_official(file, fetch(file, tmp_path, progress=False))


def test_what_must_be_got_by_hand_is_not_fetched(tmp_path, capsys):
    assert download.main(["celeba", str(tmp_path)]) == 2
    assert "img_align_celeba.zip must be downloaded by hand: get it at http" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_a_link_to_nowhere_or_a_folder_in_place_of_the_file_starts_no_download(kind, get, publisher, tmp_path):
    target = tmp_path / "data" / "3dshapes.h5"
    target.parent.mkdir()
    target.symlink_to(tmp_path / "gone") if kind == "link" else target.mkdir()
    with pytest.raises(UserError, match=f"3dshapes.h5 is a {kind}.*: move it away, or name another directory"):
        get()
    assert publisher.asked == []


def test_ones_own_data_are_not_fetched(tmp_path, capsys):
    assert download.main(["images", str(tmp_path)]) == 2
    assert "images is your own: there is nothing to fetch" in capsys.readouterr().err


def test_every_address_and_checksum_is_well_formed():
    for name in DATASETS:
        for file in find(name).files_for():
            assert file.url.startswith(("https://", "http://")) or file.page, file.name
            kind, _, digest = file.checksum.partition(":")
            length = {"md5": 32, "sha256": 64, "git-blob": 40, "": 0}[kind]
            assert len(digest) == length and all(digit in "0123456789abcdef" for digit in digest), file.name
