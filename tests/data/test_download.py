"""A download ends with the complete, checked file or with none, whatever the server does."""

import errno
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request

import pytest

from unroll.data import download as module
from unroll.data.download import Wanted, download
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

    def busy(self):
        self.send_error(503)

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
    ],
)
def test_whole_file_arrives(get, server, tmp_path, path, ranges):
    assert get(path).read_bytes() == CONTENT
    assert files(tmp_path) == ["series.csv"]
    assert [asked for _, asked in server.seen] == ranges


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
        ("busy", r"busy.bin answers 503(.|\n)*try later"),
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


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RunError, match=r"cannot write .*series.csv(.|\n)*UNROLL_CACHE"):
        download(Wanted(f"{server.root}/ok.bin", SHA256, len(CONTENT)), tmp_path / "file" / "series.csv")
    assert server.seen == []
