"""Fetching from a local server that misbehaves on purpose."""

import hashlib
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import pytest
from local_publisher import (
    BODY,
    HASTE,
    OTHER,
    WHOLE,
    another_part,
    changed_meanwhile,
    cut_off,
    kept,
    leave_partial,
    of_unknown_length,
    slow,
    stall,
    without_length,
)

from datasets import dsprites, load_dataset
from datasets.fetch import fetch, is_official
from datasets.spec import DataFile
from system.errors import UserError


def test_the_file_arrives_under_its_name_and_nothing_else_is_left(get, tmp_path, capsys, file):
    assert get() == tmp_path / "data" / "3dshapes.h5"
    assert kept(tmp_path) == WHOLE
    assert capsys.readouterr().err == f"fetching {file.url} into {tmp_path / 'data'}\n"


def test_the_progress_bar_counts_the_bytes(file, tmp_path, capsys):
    fetch(file, tmp_path, retry=HASTE)
    assert "307k/307k" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_fetched(get, publisher, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "3dshapes.h5").write_bytes(b"mine")
    get()
    assert publisher.asked == []
    assert kept(tmp_path) == {"3dshapes.h5": b"mine"}


def test_a_git_blob_id_is_checked(get, tmp_path):
    blob = hashlib.sha1(b"blob %d\0" % len(BODY) + BODY).hexdigest()
    get(checksum=f"git-blob:{blob}")
    assert kept(tmp_path) == WHOLE


def test_git_blob_id_is_that_of_git(tmp_path):
    path = tmp_path / "greeting"
    path.write_bytes(b"hello\n")  # `echo hello | git hash-object --stdin`
    file = DataFile("greeting", "", b"", "git-blob:ce013625030ba8dba906f756967f9e9ca394464a")
    assert is_official(file, path)
    path.write_bytes(b"hullo\n")
    assert not is_official(file, path)


@pytest.mark.parametrize("answer", [slow, without_length, of_unknown_length])
def test_unusual_answers_are_no_failure(answer, get, publisher, tmp_path):
    publisher.steps = [answer]
    get()
    assert kept(tmp_path) == WHOLE
    assert publisher.asked == [None]


def test_a_connection_cut_in_the_middle_is_resumed(get, publisher, tmp_path):
    publisher.steps = [cut_off, cut_off]
    get()
    assert kept(tmp_path) == WHOLE
    half = len(BODY) // 2
    assert publisher.asked == [None, f"bytes={half}-", f"bytes={half + (len(BODY) - half) // 2}-"]
    assert publisher.asked_if == [None, '"first"', '"first"']


def test_failures_that_each_bring_something_are_not_counted(get, publisher, tmp_path):
    publisher.steps = [cut_off] * (HASTE.tries + 2)
    get()
    assert kept(tmp_path) == WHOLE


def test_a_connection_that_stalls_is_resumed(get, publisher, tmp_path):
    publisher.steps = [stall]
    get(retry=replace(HASTE, timeout=1))
    assert kept(tmp_path) == WHOLE
    assert publisher.asked == [None, f"bytes={len(BODY) // 2}-"]


def test_without_range_support_it_starts_over(get, publisher, tmp_path):
    publisher.resumes = False
    publisher.steps = [cut_off]
    get()
    assert kept(tmp_path) == WHOLE
    assert publisher.asked == [None, f"bytes={len(BODY) // 2}-"]


def test_a_server_that_always_cuts_and_never_resumes_is_given_up(get, publisher, tmp_path):
    publisher.resumes = False
    publisher.steps = [cut_off] * 20
    with pytest.raises(UserError, match=r"the connection ended after 153604 of 307208 bytes\): repeat"):
        get()
    assert len(publisher.asked) == HASTE.tries
    assert "3dshapes.h5" not in kept(tmp_path)


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(get, publisher, tmp_path):
    publisher.body = OTHER
    publisher.steps = [cut_off, changed_meanwhile]
    get()
    assert kept(tmp_path) == WHOLE


def test_another_part_than_asked_for_is_not_appended(get, publisher, tmp_path):
    publisher.steps = [cut_off, another_part]
    get()
    assert kept(tmp_path) == WHOLE
    assert publisher.asked[2] is None


@pytest.mark.parametrize(
    "left, asked",
    [
        (BODY[:1000], ["bytes=1000-"]),
        (BODY, [f"bytes={len(BODY)}-"]),
        (BODY + b"more", [f"bytes={len(BODY) + 4}-", None]),
        (OTHER[:1000], ["bytes=1000-", None]),
    ],
    ids=["a_part", "all_of_it", "more_than_all", "a_part_of_another_file"],
)
def test_what_an_earlier_run_left_is_used_if_it_fits(left, asked, get, publisher, tmp_path):
    leave_partial(tmp_path, left)
    get()
    assert kept(tmp_path) == WHOLE
    assert publisher.asked == asked


def test_processes_at_once_fetch_once(file, publisher, tmp_path):
    publisher.steps = [slow]
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=fetch, args=(file, tmp_path / "data"), kwargs={"progress": False, "retry": HASTE})
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert publisher.asked == [None]
    assert kept(tmp_path) == WHOLE


def test_a_fetch_that_was_killed_is_resumed(get, file, publisher, tmp_path):
    publisher.steps = [stall]
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=fetch, args=(file, tmp_path / "data"), kwargs={"progress": False})
    worker.start()
    partial = tmp_path / "data" / "3dshapes.h5.partial"
    while not (partial.exists() and partial.stat().st_size == len(BODY) // 2):
        assert worker.is_alive()
        time.sleep(0.01)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    get()
    assert publisher.asked == [None, f"bytes={len(BODY) // 2}-"]
    assert kept(tmp_path) == WHOLE


def test_load_dataset_fetches_what_its_directory_lacks(publisher, dsprites_file, monkeypatch, tmp_path):
    path, _ = dsprites_file(tmp_path / "published", replica=None, subset=True)
    publisher.body = path.read_bytes()
    checksum = f"md5:{hashlib.md5(publisher.body).hexdigest()}"
    file = replace(dsprites.FILE, url=publisher.url, checksum=checksum)
    monkeypatch.setattr(dsprites, "SPEC", replace(dsprites.SPEC, files=(file,)))
    dataset = load_dataset("dsprites", tmp_path / "data", progress=False)
    assert dataset.source == path.name
    assert (tmp_path / "data" / path.name).read_bytes() == publisher.body
