"""Fetching from a local server that misbehaves on purpose."""

import errno
import hashlib
import io
import multiprocessing
import os
import re
import signal
import socket
import ssl
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError

import pytest

from datasets import download, dsprites, load_dataset
from datasets.download import Patience, fetch, is_published
from datasets.files import DataFile
from errors import UserError

MAGIC = b"\x89HDF\r\n\x1a\n"
BODY = MAGIC + bytes(range(256)) * 1200
OTHER = MAGIC + bytes(range(255, -1, -1)) * 1200
HASTE = Patience(tries=4, first_wait=0.01, timeout=5)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        publisher = self.server
        publisher.asked.append(self.headers.get("Range"))
        publisher.asked_if.append(self.headers.get("If-Range"))
        step = publisher.steps.pop(0) if publisher.steps else send
        step(self)
        self.close_connection = True

    def log_message(self, *_):
        pass


class Publisher(ThreadingHTTPServer):
    """Answers the n-th request with the n-th of `steps`, and every later one with the file."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.steps, self.asked, self.asked_if = [], [], []
        self.body, self.resumes, self.etag = BODY, True, '"first"'

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/3dshapes.h5"


def begin(handler):
    """Sends the headers that a well-behaved server sends; returns what is to follow."""
    publisher = handler.server
    body, wanted = publisher.body, handler.headers.get("Range")
    same = handler.headers.get("If-Range") in (None, publisher.etag)
    start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and publisher.resumes and same else 0
    if start >= len(body):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(body)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return b""
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    if publisher.etag:
        handler.send_header("ETag", publisher.etag)
    handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    return body[start:]


def send(handler):
    handler.wfile.write(begin(handler))


def cut_off(handler):
    rest = begin(handler)
    handler.wfile.write(rest[: len(rest) // 2])


def stall(handler):
    rest = begin(handler)
    handler.wfile.write(rest[: len(rest) // 2])
    handler.wfile.flush()
    time.sleep(1)


def slow(handler):
    rest = begin(handler)
    for start in range(0, len(rest), 10_000):
        handler.wfile.write(rest[start : start + 10_000])
        time.sleep(0.01)


def without_length(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(handler.server.body)


def status(code):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def page(content_type):
    def answer(handler):
        text = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
        handler.send_response(200)
        handler.send_header("Content-Type", content_type)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    return answer


def another_part(handler):
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes 0-{len(BODY) - 1}/{len(BODY)}")
    handler.send_header("Content-Length", str(len(BODY)))
    handler.end_headers()
    handler.wfile.write(BODY)


def changed_meanwhile(handler):
    handler.server.body, handler.server.etag = BODY, '"second"'
    send(handler)


@pytest.fixture
def publisher():
    server = Publisher()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def file(publisher):
    return DataFile("3dshapes.h5", publisher.url, MAGIC, f"md5:{hashlib.md5(BODY).hexdigest()}")


@pytest.fixture
def get(file, tmp_path):
    def fetch_file(patience=HASTE, **changes):
        return fetch(replace(file, **changes), tmp_path / "data", progress=False, patience=patience)

    return fetch_file


def kept(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()}


WHOLE = {"3dshapes.h5": BODY}


def leave_partial(tmp_path, content):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "3dshapes.h5.partial").write_bytes(content)


def test_the_file_arrives_under_its_name_and_nothing_else_is_left(get, tmp_path, capsys, file):
    assert get() == tmp_path / "data" / "3dshapes.h5"
    assert kept(tmp_path) == WHOLE
    assert capsys.readouterr().err == f"fetching {file.url} into {tmp_path / 'data'}\n"


def test_the_progress_bar_counts_the_bytes(file, tmp_path, capsys):
    fetch(file, tmp_path, patience=HASTE)
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
    assert is_published(file, path)
    path.write_bytes(b"hullo\n")
    assert not is_published(file, path)


@pytest.mark.parametrize("answer", [slow, without_length])
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
    get(patience=replace(HASTE, timeout=0.1))
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


def test_wrong_bytes_are_refused_and_removed(get, publisher, file, tmp_path):
    publisher.body = OTHER
    with pytest.raises(
        UserError, match=r"307208 bytes that are not the published 3dshapes.h5 \(expected md5:"
    ) as caught:
        get()
    assert file.url in str(caught.value)
    assert kept(tmp_path) == {}


def test_a_missing_page_fails_at_once(get, publisher, file, tmp_path):
    publisher.steps = [status(404)] * 5
    with pytest.raises(UserError, match="answers HTTP 404 Not Found: see whether the publisher moved it") as caught:
        get()
    assert file.url in str(caught.value)
    assert len(publisher.asked) == 1
    assert kept(tmp_path) == {}


def test_a_busy_server_is_asked_again(get, publisher, tmp_path):
    publisher.steps = [status(503), status(503)]
    get()
    assert kept(tmp_path) == WHOLE
    assert len(publisher.asked) == 3


def test_waits_double(get, publisher, monkeypatch):
    waits = []
    monkeypatch.setattr(download.time, "sleep", waits.append)
    publisher.steps = [status(503)] * 3
    get(patience=Patience(tries=6, first_wait=1))
    assert waits == [1, 2, 4]


def test_a_server_that_stays_busy_is_given_up(get, publisher, tmp_path):
    publisher.steps = [status(503)] * 20
    with pytest.raises(UserError, match=r"cannot be fetched \(HTTP 503 Service Unavailable\): check the network"):
        get()
    assert len(publisher.asked) == HASTE.tries
    assert kept(tmp_path) == {}


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_page_in_place_of_the_file_is_recognised(content_type, get, publisher, tmp_path):
    publisher.steps = [page(content_type)]
    with pytest.raises(UserError, match="gave an HTML page in place of 3dshapes.h5"):
        get()
    assert kept(tmp_path) == {}


def test_a_page_does_not_cost_what_is_here_already(get, publisher, tmp_path):
    leave_partial(tmp_path, BODY[:1000])
    publisher.steps = [page("text/html")]
    with pytest.raises(UserError, match="HTML page"):
        get()
    assert kept(tmp_path) == {"3dshapes.h5.partial": BODY[:1000]}


def test_no_network_is_told_after_two_tries(get, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/3dshapes.h5"
        with pytest.raises(
            UserError, match=r"cannot be fetched \(.*refused\): check the network .*--data-path"
        ) as caught:
            get(url=url)
    assert url in str(caught.value)
    assert kept(tmp_path) == {}


def test_too_small_a_disk_is_told_before_anything_is_written(get, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "free_bytes", lambda _: 2**24)
    with pytest.raises(UserError, match=r"no room for 0.3 MB of http.*free some space"):
        get()
    assert kept(tmp_path) == {}


class FullDisk(io.RawIOBase):
    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_that_fills_up_is_told(get, monkeypatch, tmp_path):
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *a, **k: FullDisk() if path.suffix == ".partial" else real(path, *a, **k)
    )
    with pytest.raises(UserError, match="no room for the rest of http.*free some space"):
        get()
    assert kept(tmp_path) == {}


def test_a_proxys_certificate_is_told(get, monkeypatch):
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = "self-signed certificate"

    def refuse(*_, **__):
        raise URLError(error)

    monkeypatch.setattr(download, "urlopen", refuse)
    with pytest.raises(UserError, match=r"no valid certificate \(self-signed certificate\): .*SSL_CERT_FILE"):
        get()


def test_every_error_is_one_line(get, publisher):
    for steps in ([status(404)], [status(503)] * 9, [page("text/html")]):
        publisher.steps = list(steps)
        with pytest.raises(UserError) as caught:
            get()
        assert "\n" not in str(caught.value)


def test_processes_at_once_fetch_once(file, publisher, tmp_path):
    publisher.steps = [slow]
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=fetch, args=(file, tmp_path / "data"), kwargs={"progress": False, "patience": HASTE})
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
    deadline = time.monotonic() + 10
    while not (partial.exists() and partial.stat().st_size == len(BODY) // 2) and time.monotonic() < deadline:
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
    monkeypatch.setattr(dsprites, "FILE", replace(dsprites.FILE, url=publisher.url, checksum=checksum))
    dataset = load_dataset("dsprites", tmp_path / "data", progress=False)
    assert dataset.source == path.name
    assert (tmp_path / "data" / path.name).read_bytes() == publisher.body


def test_command_line_fetches_and_prints_the_path(publisher, file, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(dsprites, "FILE", replace(file, url="http://nowhere.invalid/"))
    assert download.main(["dsprites", str(tmp_path / "data"), "--url", publisher.url, "--quiet"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'data' / '3dshapes.h5'}\n"
    assert kept(tmp_path) == WHOLE


def test_command_line_prints_errors_in_one_line_and_exits_2(publisher, tmp_path, capsys):
    publisher.steps = [status(404)]
    assert download.main(["dsprites", str(tmp_path / "data"), "--url", publisher.url, "--quiet"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(f"error: {publisher.url} answers HTTP 404")


def test_command_line_refuses_another_file_of_that_name(tmp_path, capsys):
    (tmp_path / "3dshapes.h5").write_bytes(b"a replica")
    assert download.main(["shapes3d", str(tmp_path)]) == 2
    assert "is there already and is not the published file" in capsys.readouterr().err
