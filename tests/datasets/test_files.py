"""Finding and fetching files: from a local server that misbehaves on purpose; several, unverified or by hand only."""

import errno
import gzip
import hashlib
import multiprocessing
import os
import signal
import socket
import time
from dataclasses import replace

import miniatures
import numpy as np
import pytest
from local_publisher import BODY, OTHER, WHOLE, cut_off, kept, leave_partial, of_unknown_length, slow, stall, status

from datasets import DATASETS, digits, download, dsprites, files, find, load_dataset
from datasets.files import fetch, is_official
from datasets.spec import DataFile
from system.errors import UserError

HALF = len(BODY) // 2


def test_the_file_arrives_under_its_name_and_nothing_else_is_left(get, tmp_path, capsys, file):
    assert get() == tmp_path / "data" / "3dshapes.h5"
    assert kept(tmp_path) == WHOLE
    assert capsys.readouterr().err == f"fetching {file.url} into {tmp_path / 'data'}\n"


def test_the_progress_bar_counts_the_bytes(file, tmp_path, capsys):
    fetch(file, tmp_path)
    assert "307k/307k" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_fetched(get, publisher, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "3dshapes.h5").write_bytes(b"mine")
    get()
    assert publisher.asked == [] and kept(tmp_path) == {"3dshapes.h5": b"mine"}


def test_checksums_are_those_of_md5_sha256_and_git(tmp_path):
    path = tmp_path / "greeting"
    path.write_bytes(b"hello\n")
    known = {  # `echo hello | git hash-object --stdin`, md5sum, sha256sum
        "git-blob": "ce013625030ba8dba906f756967f9e9ca394464a",
        "md5": "b1946ac92492d2347c6235b4d2611184",
        "sha256": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    }
    for kind, digest in known.items():
        assert is_official(DataFile("greeting", "", f"{kind}:{digest}"), path)
    path.write_bytes(b"hullo\n")
    assert not is_official(DataFile("greeting", "", f"md5:{known['md5']}"), path)


@pytest.mark.parametrize("answer", [slow, of_unknown_length])
def test_unusual_answers_are_no_failure(answer, get, publisher, tmp_path):
    publisher.steps = [answer]
    get()
    assert kept(tmp_path) == WHOLE and publisher.asked == [None]


def test_a_connection_cut_in_the_middle_is_resumed_as_often_as_it_brings_something(get, publisher, tmp_path):
    publisher.steps = [cut_off] * (files.TRIES + 2)
    get()
    assert kept(tmp_path) == WHOLE
    assert publisher.asked[:3] == [None, f"bytes={HALF}-", f"bytes={HALF + (len(BODY) - HALF) // 2}-"]


def test_a_connection_that_stalls_is_resumed(get, publisher, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "TIMEOUT", 1)
    publisher.steps = [stall]
    get()
    assert kept(tmp_path) == WHOLE and publisher.asked == [None, f"bytes={HALF}-"]


def test_without_range_support_it_starts_over(get, publisher, tmp_path):
    publisher.resumes, publisher.steps = False, [cut_off]
    get()
    assert kept(tmp_path) == WHOLE and publisher.asked == [None, f"bytes={HALF}-"]


def test_busy_servers_are_asked_again_after_waits_that_double_and_then_given_up(get, file, publisher, monkeypatch):
    waits = []
    monkeypatch.setattr(files.time, "sleep", waits.append)
    publisher.steps = [status(503), status(404)]
    get()
    assert waits == [0.01, 0.02]
    get().unlink()
    waits.clear()
    publisher.steps = [status(503)] * 9
    with pytest.raises(
        UserError, match=r"cannot be fetched \(HTTP 503 Service Unavailable\): check the network"
    ) as told:
        get()
    assert file.url in str(told.value) and len(waits) == files.TRIES - 1


def test_no_network_is_told(get, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/3dshapes.h5"
        with pytest.raises(UserError, match=r"cannot be fetched \(.*refused.*\): check the network.*yourself"):
            get(url=url)
    assert kept(tmp_path) == {}


@pytest.mark.parametrize(
    ("left", "asked"),
    [
        (BODY[:1000], ["bytes=1000-"]),
        (BODY, [f"bytes={len(BODY)}-"]),
        (BODY + b"more", [f"bytes={len(BODY) + 4}-", None]),
    ],
    ids=["a_part", "all_of_it", "more_than_all"],
)
def test_what_an_earlier_run_left_is_used_if_it_fits(left, asked, get, publisher, tmp_path):
    leave_partial(tmp_path, left)
    get()
    assert kept(tmp_path) == WHOLE and publisher.asked == asked


def test_wrong_bytes_are_refused_and_kept_under_another_name(get, publisher, file, tmp_path):
    publisher.body = OTHER
    with pytest.raises(UserError, match=r"did not give the official 3dshapes.h5 \(md5:.*unverified: look into it"):
        get()
    assert kept(tmp_path) == {"3dshapes.h5.unverified": OTHER}
    publisher.body = BODY
    get()
    assert kept(tmp_path) == {**WHOLE, "3dshapes.h5.unverified": OTHER}


def test_a_file_that_differs_from_the_checksum_of_an_earlier_address_is_kept_with_a_warning(get, publisher, capsys):
    publisher.body = OTHER
    assert get(earlier=True).read_bytes() == OTHER
    assert "published for an earlier address" in capsys.readouterr().err


def test_a_file_without_a_known_checksum_is_said_to_be_unverified(get, capsys):
    assert get(checksum="").read_bytes() == BODY
    digest = hashlib.sha256(BODY).hexdigest()
    said = f"3dshapes.h5 is unverified: no official checksum is known; received sha256:{digest}"
    assert said in capsys.readouterr().err


def test_a_full_disk_is_not_tried_again(get, publisher, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "tqdm", full)
    with pytest.raises(OSError, match="No space left"):
        get()
    assert len(publisher.asked) == 1


def test_processes_at_once_fetch_once(file, publisher, tmp_path):
    publisher.steps = [slow]
    context = multiprocessing.get_context("fork")
    how = {"args": (file, tmp_path / "data"), "kwargs": {"progress": False}}
    workers = [context.Process(target=fetch, **how) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert publisher.asked == [None] and kept(tmp_path) == WHOLE


def test_a_fetch_that_was_killed_is_resumed(get, file, publisher, tmp_path):
    publisher.steps = [stall]
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=fetch, args=(file, tmp_path / "data"), kwargs={"progress": False})
    worker.start()
    partial = tmp_path / "data" / "3dshapes.h5.partial"
    while not (partial.exists() and partial.stat().st_size == HALF):
        assert worker.is_alive()
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    get()
    assert publisher.asked == [None, f"bytes={HALF}-"] and kept(tmp_path) == WHOLE


def test_load_dataset_fetches_what_its_directory_lacks(publisher, dsprites_file, monkeypatch, tmp_path):
    path, _ = dsprites_file(tmp_path / "published", replica=None, subset=True)
    publisher.body = path.read_bytes()
    file = replace(dsprites.FILE, url=publisher.url, checksum=f"md5:{hashlib.md5(publisher.body).hexdigest()}")
    monkeypatch.setattr(dsprites, "SPEC", replace(dsprites.SPEC, files=(file,)))
    assert load_dataset("dsprites", tmp_path / "data", progress=False).source == path.name
    assert (tmp_path / "data" / path.name).read_bytes() == publisher.body


DIGITS = gzip.compress(miniatures.idx(miniatures.noise(7, 28, 28)))
NAMES = ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"]


@pytest.fixture
def mnist(publisher, monkeypatch):
    """MNIST's files as the local server has them: both the same seven digits."""
    publisher.body, digest = DIGITS, f"md5:{hashlib.md5(DIGITS).hexdigest()}"
    published = tuple(DataFile(name, publisher.url, digest) for name in NAMES)
    monkeypatch.setattr(digits, "MNIST", replace(digits.MNIST, files=published))


def test_every_missing_file_of_a_set_is_fetched_verified_and_read(mnist, publisher, tmp_path):
    dataset = load_dataset("mnist", tmp_path, progress=False)
    first, second = dataset.uint8(np.arange(7)), dataset.uint8(np.arange(7, 14))
    assert len(publisher.asked) == 2 and len(dataset) == 14 and (first == second).all()


def test_the_command_fetches_every_file_and_verifies_those_that_are_there(mnist, publisher, tmp_path, capsys):
    assert download.main(["mnist", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / name) for name in NAMES]
    (tmp_path / NAMES[1]).write_bytes(DIGITS + b"more")
    assert download.main(["mnist", str(tmp_path), "--quiet"]) == 2
    assert f"{NAMES[1]} is there already and is not the official file: move it away" in capsys.readouterr().err
    assert len(publisher.asked) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mnist", "--url", "http://127.0.0.1/x"], "mnist has 2 files"),
        (["celeba"], "img_align_celeba.zip must be downloaded by hand: get it at http"),
        (["images"], "images is your own: there is nothing to fetch"),
    ],
)
def test_what_the_command_cannot_fetch_is_one_line(arguments, said, tmp_path, capsys):
    assert download.main([*arguments, str(tmp_path)]) == 2
    assert said in capsys.readouterr().err


def test_a_mirror_may_be_named(publisher, tmp_path, capsys):
    assert download.main(["chairs3d", str(tmp_path), "--url", publisher.url, "--quiet"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'rendered_chairs.tar'}\n"


def test_every_address_and_checksum_is_well_formed():
    for name in DATASETS:
        for file in find(name).files:
            assert file.url.startswith(("https://", "http://")) or file.page, file.name
            kind, _, digest = file.checksum.partition(":")
            length = {"md5": 32, "sha256": 64, "git-blob": 40, "": 0}[kind]
            assert len(digest) == length and all(digit in "0123456789abcdef" for digit in digest), file.name
