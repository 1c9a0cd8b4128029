"""What a failed fetch says, and that it leaves no half file under the real name."""

import errno
import io
import socket
import ssl
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
from local_publisher import (
    BODY,
    HASTE,
    OTHER,
    WHOLE,
    kept,
    leave_partial,
    page,
    redirected,
    status,
)

from datasets import download, dsprites, fetch
from datasets.fetch import RetryPolicy
from system.errors import UserError
from tests.powerless import mode


def test_wrong_bytes_are_refused_and_kept_under_another_name(get, publisher, file, tmp_path):
    publisher.body = OTHER
    with pytest.raises(
        UserError, match=r"307208 bytes that are not the official 3dshapes.h5 \(expected md5:"
    ) as caught:
        get()
    assert file.url in str(caught.value)
    assert kept(tmp_path) == {"3dshapes.h5.unverified": OTHER}


def test_a_file_that_differs_from_the_checksum_of_an_earlier_address_is_kept_with_a_warning(
    publisher, file, tmp_path, capsys
):
    publisher.body = OTHER
    path = fetch.fetch(replace(file, earlier=True), tmp_path / "data", progress=False)
    assert path.read_bytes() == OTHER
    assert "published for an earlier address" in capsys.readouterr().err


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
    monkeypatch.setattr(fetch.time, "sleep", waits.append)
    publisher.steps = [status(503)] * 3
    get(retry=RetryPolicy(tries=6, first_wait=1))
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
            UserError, match=r"cannot be fetched \(.*refused\): check the network .*put it into"
        ) as caught:
            get(url=url)
    assert url in str(caught.value)
    assert kept(tmp_path) == {}


def test_too_small_a_disk_is_told_before_anything_is_written(get, monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, "free_bytes", lambda _: 2**24)
    with pytest.raises(UserError, match=r"no room for 0.3 MB of http.*free some space"):
        get()
    assert kept(tmp_path) == {}


class FullDisk(io.RawIOBase):
    def write(self, _):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_partial_file_of_another_user_is_told_at_once(get, publisher, tmp_path):
    leave_partial(tmp_path, BODY[:100])
    left = mode(tmp_path / "data" / "3dshapes.h5.partial", 0o400)
    with left, pytest.raises(UserError, match=r"partial cannot be written \(Permission denied\): move it away"):
        get()
    assert len(publisher.asked) == 1


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

    monkeypatch.setattr(fetch, "urlopen", refuse)
    with pytest.raises(UserError, match=r"no valid certificate \(self-signed certificate\): .*SSL_CERT_FILE"):
        get()


@pytest.mark.parametrize("url", ["nonsense", "http://[nonsense", "http://[nonsense]/"])
def test_what_is_no_address_is_told(url, get, tmp_path):
    with pytest.raises(UserError, match="is no address to fetch from .*name another with --url"):
        get(url=url)
    assert kept(tmp_path) == {}


def test_a_redirection_to_no_address_is_told(get, publisher):
    publisher.steps = [redirected("http://[nonsense")]
    with pytest.raises(UserError, match="is no address to fetch from"):
        get()


def test_every_error_is_one_line(get, publisher):
    for steps in ([status(404)], [status(503)] * 9, [page("text/html")], [redirected("/")] * 99):
        publisher.steps = list(steps)
        with pytest.raises(UserError) as caught:
            get()
        assert "\n" not in str(caught.value)


def test_command_line_fetches_and_prints_the_path(publisher, file, monkeypatch, tmp_path, capsys):
    elsewhere = replace(file, url="http://nowhere.invalid/")
    monkeypatch.setattr(dsprites, "SPEC", replace(dsprites.SPEC, files=(elsewhere,)))
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
    assert "is there already and is not the official file" in capsys.readouterr().err
