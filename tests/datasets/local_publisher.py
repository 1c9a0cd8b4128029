"""A server on this machine that answers as it is told to, also badly, and what it serves."""

import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAGIC = b"\x89HDF\r\n\x1a\n"
BODY = MAGIC + bytes(range(256)) * 1200
OTHER = MAGIC + bytes(range(255, -1, -1)) * 1200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        publisher = self.server
        publisher.asked.append(self.headers.get("Range"))
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
        self.steps, self.asked = [], []
        self.body, self.resumes = BODY, True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/3dshapes.h5"


def begin(handler):
    """Sends the headers that a well-behaved server sends; returns what is to follow."""
    publisher = handler.server
    body, wanted = publisher.body, handler.headers.get("Range")
    start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and publisher.resumes else 0
    if start >= len(body):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(body)}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return b""
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
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
    handler.rfile.read(1)  # until the other side gives up


def slow(handler):
    rest = begin(handler)
    for start in range(0, len(rest), 10_000):
        handler.wfile.write(rest[start : start + 10_000])
        time.sleep(0.01)


def without_length(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(handler.server.body)


def of_unknown_length(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "unknown")
    handler.end_headers()
    handler.wfile.write(handler.server.body)


def status(code):
    def answer(handler):
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def kept(tmp_path):
    return {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir()}


WHOLE = {"3dshapes.h5": BODY}


def leave_partial(tmp_path, content):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "3dshapes.h5.partial").write_bytes(content)
