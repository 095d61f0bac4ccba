"""A download ends with the complete, checked file or with none, whatever the server does."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request

import pytest

from unroll.data.registry import download as module
from unroll.data.registry.download import Wanted, download
from unroll.errors import DataError, RunError

CONTENT = bytes(range(256)) * 1200
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Range")))
        getattr(self, self.path.rsplit("/", 1)[1].split(".")[0])()

    def start(self):
        asked = self.headers.get("Range")
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0

    def send(self, body, *, status=200, length=None, headers=()):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_rest(self, body, upto=None):
        start = self.start()
        rest = body[start:]
        sent = rest if upto is None else rest[:upto]
        if not start:
            return self.send(sent, length=len(rest))
        where = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self.send(sent, status=206, length=len(rest), headers=[("Content-Range", where)])

    def ok(self):
        self.send_rest(CONTENT)

    def missing(self):
        self.send_error(404)

    def forbidden(self):
        self.send_error(403)

    def busy(self):
        self.send_error(503)

    def broken_at_first(self):
        """500 twice, then the file cut in the middle, 503 once, then the rest."""
        turn = sum(path == self.path for path, _ in self.server.seen)
        if turn in (1, 2, 4):
            return self.send_error(500 if turn < 3 else 503)
        return self.send_rest(CONTENT, upto=HALF if turn == 3 else None)

    def changed_between(self):
        """Another file since the connection was cut."""
        self.send_rest(CONTENT if not self.start() else CONTENT[::-1], upto=HALF if not self.start() else None)

    def no_length(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def no_length_cut(self):
        if self.start():
            return self.send_rest(CONTENT)
        self.send_response(200)
        self.end_headers()
        return self.wfile.write(CONTENT[:HALF])

    def chunked(self):
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for begin in range(0, len(CONTENT), 10_000):
            piece = CONTENT[begin : begin + 10_000]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def circle(self):
        self.send(b"", status=302, headers=[("Location", "circle.bin")])

    def slow(self):
        start = self.start()
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        for begin in range(start, len(CONTENT), 10_000):
            self.wfile.write(CONTENT[begin : begin + 10_000])
            self.wfile.flush()
            if not start:
                self.server.released.wait(0.05)

    def changed(self):
        self.send_rest(CONTENT[::-1])

    def shorter(self):
        self.send(b"<html>sign in</html>")

    def endless(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT * 2)

    def cut(self):
        self.send_rest(CONTENT, upto=HALF if not self.start() else None)

    def always_cut(self):
        self.send_rest(CONTENT, upto=1000)

    def no_range(self):
        self.send(CONTENT if self.start() else CONTENT[:HALF], length=len(CONTENT))

    def refuses_range(self):
        if self.start():
            return self.send(b"", status=416)
        first = sum(path == self.path for path, _ in self.server.seen) == 1
        return self.send(CONTENT[:HALF] if first else CONTENT, length=len(CONTENT))

    def other_range(self):
        if not self.start():
            return self.send(CONTENT)
        return self.send(CONTENT[7:], status=206, headers=[("Content-Range", f"bytes 7-9/{len(CONTENT)}")])

    def stalls(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000])
        self.wfile.flush()
        self.server.released.wait(5)

    def silent(self):
        self.server.released.wait(5)

    def moved(self):
        self.send(b"", status=302, headers=[("Location", "ok.bin")])


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(module, "PAUSE", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.seen, server.released = [], threading.Event()
    server.root = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def get(server, tmp_path):
    """Download one of the handler's paths to ``series.csv``."""

    def get(path, **options):
        target = tmp_path / "cache" / "series.csv"
        download(Wanted(f"{server.root}/{path}.bin", SHA256, len(CONTENT)), target, **options)
        return target

    return get


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "cache").glob("*"))


@pytest.mark.parametrize(
    ("path", "ranges"),
    [
        ("ok", [None]),
        ("moved", [None, None]),
        ("cut", [None, f"bytes={HALF}-"]),
        ("no_range", [None, f"bytes={HALF}-"]),
        ("refuses_range", [None, f"bytes={HALF}-", None]),
        ("broken_at_first", [None, None, None, f"bytes={HALF}-", f"bytes={HALF}-"]),
        ("no_length", [None]),
        ("no_length_cut", [None, f"bytes={HALF}-"]),
        ("chunked", [None]),
    ],
)
def test_whole_file_arrives(get, server, tmp_path, monkeypatch, path, ranges):
    monkeypatch.setattr(module, "ATTEMPTS", 5)
    assert get(path).read_bytes() == CONTENT
    assert files(tmp_path) == ["series.csv"]
    assert [asked for _, asked in server.seen] == ranges


@pytest.mark.parametrize(("path", "asked"), [("missing", 1), ("forbidden", 1), ("busy", 4)])
def test_only_what_may_pass_is_tried_again(get, server, path, asked):
    with pytest.raises(DataError):
        get(path)
    assert len(server.seen) == asked


def test_a_busy_server_does_not_cost_what_came_before(get, server, tmp_path):
    with pytest.raises(DataError, match="cut at 4,000"):
        get("always_cut")
    with pytest.raises(DataError, match="answers 503"):
        get("busy")
    assert (tmp_path / "cache" / "series.csv.part").stat().st_size == 4000
    assert get("moved").read_bytes() == CONTENT
    assert server.seen[-1] == ("/ok.bin", "bytes=4000-")


def test_later_call_goes_on_where_an_earlier_one_was_cut(get, server, tmp_path):
    with pytest.raises(DataError, match=r"cut at 4,000 of 307,200 bytes(.|\n)*to go on from there"):
        get("always_cut")
    assert files(tmp_path) == ["series.csv.part"]
    assert get("ok").read_bytes() == CONTENT
    assert server.seen[-1] == ("/ok.bin", "bytes=4000-")
    assert files(tmp_path) == ["series.csv"]


def test_connection_that_stalls_is_cut_and_says_so(get, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with pytest.raises(DataError, match=r"cut at 1,000 of .*: no answer in time"):
        get("stalls", timeout=0.2)
    assert files(tmp_path) == ["series.csv.part"]


def test_part_of_another_content_is_thrown_away(get, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "series.csv.part").write_bytes(b"x" * 1000)
    assert get("ok").read_bytes() == CONTENT


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 1])
def test_full_or_overlong_part_of_another_content_is_thrown_away(get, tmp_path, length):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "series.csv.part").write_bytes(b"x" * length)
    assert get("ok").read_bytes() == CONTENT


def test_server_that_sends_another_range_is_asked_from_the_start(get, server, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "series.csv.part").write_bytes(CONTENT[:1000])
    assert get("other_range").read_bytes() == CONTENT
    assert [asked for _, asked in server.seen] == ["bytes=1000-", None]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", r"missing.bin answers 404(.|\n)*unroll datasets use PATH"),
        ("forbidden", r"forbidden.bin answers 403(.|\n)*not be for everybody(.|\n)*unroll datasets use PATH"),
        ("busy", r"busy.bin answers 503 Service Unavailable, 4 times(.|\n)*try later"),
        ("changed_between", rf"has sha256 [0-9a-f]{{64}}\nexpected {SHA256}(.|\n)*The file was deleted"),
        ("circle", r"circle.bin answers 302"),
        ("changed", rf"has sha256 [0-9a-f]{{64}}\nexpected {SHA256}(.|\n)*The file was deleted"),
        ("shorter", r"holds 20 bytes\nexpected 307,200(.|\n)*unroll datasets use PATH"),
        ("endless", r"holds more than 307,200 bytes"),
    ],
)
def test_wrong_answers_leave_nothing(get, tmp_path, path, message):
    with pytest.raises(DataError, match=message):
        get(path)
    assert files(tmp_path) == []


def test_sign_in_page_does_not_cost_what_came_before(get, tmp_path):
    with pytest.raises(DataError, match="cut at"):
        get("always_cut")
    with pytest.raises(DataError, match="holds 20 bytes"):
        get("shorter")
    assert (tmp_path / "cache" / "series.csv.part").stat().st_size == 4000


def test_older_file_stays_until_the_new_one_is_complete(get, tmp_path):
    target = tmp_path / "cache" / "series.csv"
    target.parent.mkdir()
    target.write_bytes(b"older")
    with pytest.raises(DataError, match="sha256"):
        get("changed")
    assert target.read_bytes() == b"older"
    assert get("ok").read_bytes() == CONTENT


def test_final_name_never_holds_a_part(get, tmp_path):
    seen = []

    def progress(name, done, total):
        seen.append((name, done, total, (tmp_path / "cache" / "series.csv").exists()))

    get("cut", progress=progress)
    assert len(seen) > 2
    assert seen[-1] == ("series.csv", len(CONTENT), len(CONTENT), False)
    assert not any(there for *_, there in seen)
    assert [done for _, done, *_ in seen] == sorted(done for _, done, *_ in seen)


def test_interrupted_download_keeps_its_part(get, tmp_path):
    def interrupt(name, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get("ok", progress=interrupt)
    assert files(tmp_path) == ["series.csv.part"]
    assert get("ok").read_bytes() == CONTENT


def test_complete_file_is_not_asked_for_again(get, server):
    get("ok")
    get("missing")
    assert len(server.seen) == 1


def test_two_downloads_of_one_file_at_once(get, server):
    threads = [threading.Thread(target=get, args=("ok",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get("ok").read_bytes() == CONTENT
    if module.fcntl is not None:
        assert len(server.seen) == 1


def test_no_network_names_the_way_out(tmp_path, server):
    server.server_close()
    with pytest.raises(DataError, match=r"cannot reach 127.0.0.1:\d+ (.|\n)*unroll datasets use PATH"):
        download(Wanted(f"{server.root}/ok.bin", SHA256, len(CONTENT)), tmp_path / "cache" / "series.csv")
    assert files(tmp_path) == []


def test_silent_server_is_given_up(get, tmp_path):
    with pytest.raises(DataError, match=r"cannot reach .*: no answer in time"):
        get("silent", timeout=0.2)
    assert files(tmp_path) == []


def test_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.root)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    download(Wanted("http://data.invalid/ok.bin", SHA256, len(CONTENT)), tmp_path / "cache" / "series.csv")
    assert server.seen == [("http://data.invalid/ok.bin", None)]


@pytest.mark.parametrize("target", ["http://data.invalid/x", "ftp://data.invalid/x"])
def test_https_is_never_left(target, tmp_path):
    handler = module._NoDowngrade()
    with (
        pytest.raises(DataError, match=r"https all the way(.|\n)*unroll datasets use PATH"),
        open(tmp_path / "answer", "wb") as answer,
    ):
        handler.redirect_request(Request("https://data.invalid/x"), answer, 302, "Found", {}, target)


def test_full_disk_leaves_nothing(get, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(RunError, match=r"no space left on device(.|\n)*UNROLL_CACHE"):
        get("ok")
    assert files(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="no limit of a file's size")
def test_write_that_fails_half_way_leaves_nothing(get, tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, before[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write .*series.csv: file too large(.|\n)*UNROLL_CACHE"):
            get("ok")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(tmp_path) == []


FETCH = "import sys; from pathlib import Path; from unroll.data.registry.download import Wanted, download; " + (
    "download(Wanted(sys.argv[1], sys.argv[2], int(sys.argv[3])), Path(sys.argv[4]))"
)


def process(server, path, tmp_path):
    words = [f"{server.root}/{path}.bin", SHA256, str(len(CONTENT)), str(tmp_path / "cache" / "series.csv")]
    return subprocess.Popen([sys.executable, "-c", FETCH, *words], stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="another signal there")
def test_process_that_is_interrupted_is_gone_on_from(get, server, tmp_path):
    running = process(server, "slow", tmp_path)
    part = tmp_path / "cache" / "series.csv.part"
    wait_for(lambda: part.exists() and part.stat().st_size > 20_000)
    running.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in running.communicate()[1]
    assert files(tmp_path) == ["series.csv.part"]
    size = part.stat().st_size
    assert part.read_bytes() == CONTENT[:size]
    assert get("ok").read_bytes() == CONTENT
    assert server.seen[-1] == ("/ok.bin", f"bytes={size}-")


@pytest.mark.skipif(module.fcntl is None, reason="no locks here")
def test_two_processes_bring_one_file_once(server, tmp_path):
    running = [process(server, "slow", tmp_path) for _ in range(2)]
    assert [each.communicate()[1] for each in running] == ["", ""]
    assert (tmp_path / "cache" / "series.csv").read_bytes() == CONTENT
    assert files(tmp_path) == ["series.csv"]
    assert len(server.seen) == 1


def wait_for(condition):
    for _ in range(6000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match=r"cannot write .*series.csv(.|\n)*UNROLL_CACHE"):
        download(Wanted(f"{server.root}/ok.bin", SHA256, len(CONTENT)), tmp_path / "file" / "series.csv")
    assert server.seen == []
