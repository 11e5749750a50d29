"""Downloads: the published file, whole, or one message that says how to get it by hand."""

import errno
import hashlib
import io
import re
import socket
import subprocess
import sys
import threading
import zipfile
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from data_files import CIFAR10H

from softlabels.datasets import archives, download
from softlabels.datasets.download import FILES, Published, fetch
from softlabels.errors import UserError

CONTENT = hashlib.shake_256(b"published").digest(1_000_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


def published(url, content=CONTENT, **known):
    """What is known of a file: by default its size and both hashes."""
    known = known or {
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "md5": hashlib.md5(content).hexdigest(),
    }
    return Published(url=url, licence="CC0", citation="A. Author 2020", **known)


class Server(ThreadingHTTPServer):
    """Serves one file, and can behave badly.

    Attributes:
        asked: the Range header of each request, in order.
        cuts: for each request in turn, after how many bytes the connection is cut.
        answers: for each request in turn, a status to answer with instead.
        ranges: whether parts are served.
        lengths: whether sizes are told.
        redirect: the address that ``/moved`` leads to.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.asked, self.cuts, self.answers = CONTENT, [], [], []
        self.ranges = self.lengths = True
        self.redirect = ""
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        if server.answers and (status := server.answers.pop(0)):
            return self.send_error(status)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", server.redirect)
            return self.end_headers()
        start, total = 0, len(server.content)
        if server.ranges and self.headers.get("Range"):
            start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
            if start >= total:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{total}")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        if server.lengths:
            self.send_header("Content-Length", str(total - start))
        self.end_headers()
        self.wfile.write(server.content[start:][: server.cuts.pop(0) if server.cuts else None])
        return None


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "WAITS", (0, 0, 0))
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def arrives(file, target):
    fetch(file, target)
    assert target.read_bytes() == CONTENT


def failure(file, target):
    """The one message of a download that fails; no target may be there."""
    with pytest.raises(UserError) as error:
        fetch(file, target)
    assert not target.exists()
    return str(error.value)


# -- what arrives ----------------------------------------------------------------------------------------------------


def test_the_whole_file_arrives_and_nothing_else_is_left(server, tmp_path, capsys):
    target = tmp_path / "new folder" / "votes#1.npy"
    arrives(published(f"{server.address}/votes.npy?download=1"), target)
    assert names(tmp_path) == ["votes#1.npy"]
    assert server.asked == [None]
    assert "votes#1.npy: licence CC0. Cite A. Author 2020." in capsys.readouterr().err


def test_the_command_fetches_the_file_that_its_configuration_names(server, tmp_path, monkeypatch):
    monkeypatch.setitem(FILES, "votes.npy", published(f"{server.address}/votes.npy"))
    download.run({"file": "votes.npy"}, {}, {"file": tmp_path / "votes.npy"})
    assert (tmp_path / "votes.npy").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("behaviour", "known"),
    [({}, {}), ({"ranges": False}, {}), ({"lengths": False}, {"bytes": len(CONTENT)})],
    ids=["continued where it ended", "no ranges: all of it again", "no length: noticed by the known size"],
)
def test_a_cut_connection_is_no_failure(server, tmp_path, behaviour, known):
    vars(server).update(behaviour, cuts=[400_000])
    arrives(published(f"{server.address}/votes.npy", **known), tmp_path / "votes.npy")
    assert server.asked == [None, "bytes=400000-"]


def test_the_third_attempt_may_succeed(server, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(download, "WAITS", (1, 2, 3))
    monkeypatch.setattr(download.time, "sleep", waited.append)
    server.answers = [503, 429]
    arrives(published(f"{server.address}/votes.npy"), tmp_path / "votes.npy")
    assert waited == [1, 2]


@pytest.mark.parametrize(
    ("part", "known", "asked"),
    [
        (CONTENT[:300_000], {}, ["bytes=300000-"]),
        (CONTENT, {}, []),
        (CONTENT, {"md5": MD5}, ["bytes=1000000-"]),
        (CONTENT + b"more", {}, ["bytes=1000004-", None]),
    ],
    ids=["continued", "whole: no download", "whole, of unknown size: asked", "longer than the file: thrown away"],
)
def test_the_next_call_goes_on_with_what_a_killed_one_left(server, tmp_path, part, known, asked):
    (tmp_path / "votes.npy.part").write_bytes(part)
    arrives(published(f"{server.address}/votes.npy", **known), tmp_path / "votes.npy")
    assert names(tmp_path) == ["votes.npy"]
    assert server.asked == asked


def test_without_a_hash_an_old_part_is_not_continued_and_the_hash_is_told(server, tmp_path, capsys):
    (tmp_path / "votes.npy.part").write_bytes(b"an older version")
    arrives(published(f"{server.address}/votes.npy", bytes=len(CONTENT)), tmp_path / "votes.npy")
    assert server.asked == [None]
    said = capsys.readouterr().err
    assert "no checksum of this file is known" in said
    assert f"1000000 bytes, sha256 {hashlib.sha256(CONTENT).hexdigest()}" in said


def test_an_allowed_redirect_is_followed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SCHEMES", ("http",))
    server.redirect = "/elsewhere"
    arrives(published(f"{server.address}/moved"), tmp_path / "votes.npy")


def test_a_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", server.address)
    arrives(published("http://data.invalid/votes.npy"), tmp_path / "votes.npy")


# -- a file out of an archive ----------------------------------------------------------------------------------------


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def member_of(server, content):
    server.content = content
    return published(f"{server.address}/raw.zip", sha256=hashlib.sha256(content).hexdigest(), member="votes")


def test_only_the_wanted_member_stays(server, tmp_path):
    fetch(member_of(server, zipped(votes="1,2", other="3")), tmp_path / "raw.csv")
    assert (tmp_path / "raw.csv").read_text() == "1,2"
    assert names(tmp_path) == ["raw.csv"]


def test_an_archive_without_the_wanted_member_is_refused(server, tmp_path):
    assert "holds no file 'votes'" in failure(member_of(server, zipped(other="3")), tmp_path / "raw.csv")


# -- what fails ------------------------------------------------------------------------------------------------------


def test_a_wrong_checksum_deletes_the_download_and_says_so(server, tmp_path):
    server.content = CONTENT[:-1] + b"?"
    message = failure(published(f"{server.address}/votes.npy"), tmp_path / "votes.npy")
    assert message.startswith(f"votes.npy: the download from {server.address}/votes.npy was deleted: found sha256")
    assert hashlib.sha256(server.content).hexdigest() in message
    assert hashlib.sha256(CONTENT).hexdigest() in message
    assert names(tmp_path) == []


def test_a_part_of_another_file_is_found_out_and_the_next_call_starts_again(server, tmp_path):
    (tmp_path / "votes.npy.part").write_bytes(b"another file")
    file = published(f"{server.address}/votes.npy")
    assert "was deleted: found sha256" in failure(file, tmp_path / "votes.npy")
    fetch(file, tmp_path / "votes.npy")
    assert server.asked == ["bytes=12-", None]


def test_a_page_in_place_of_the_file_is_not_stored_and_the_part_is_kept(server, tmp_path):
    server.content, server.ranges = b"<html>Please log in</html>", False
    (tmp_path / "votes.npy.part").write_bytes(CONTENT[:300_000])
    message = failure(published(f"{server.address}/votes.npy"), tmp_path / "votes.npy")
    assert "found a file of 26 bytes, expected 1000000" in message
    assert (tmp_path / "votes.npy.part").read_bytes() == CONTENT[:300_000]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_an_absent_file_is_asked_for_once_and_the_message_says_what_to_do(server, tmp_path, status):
    server.answers = [status]
    file = published(f"{server.address}/raw/votes.npy?download=1")
    message = failure(file, tmp_path / "votes.npy")
    assert f"votes.npy: could not be fetched from {file.url} (HTTP Error {status}" in message
    assert (
        f"Put votes.npy (published at {file.url}, 1000000 bytes, sha256 {file.sha256}, md5 {file.md5}) at "
        f"{tmp_path / 'votes.npy'}, then run again." in message
    )
    assert server.asked == [None]
    assert names(tmp_path) == []


def test_no_connection_is_tried_four_times(server, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(download.time, "sleep", waited.append)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        message = failure(published(f"http://127.0.0.1:{closed.getsockname()[1]}/votes.npy"), tmp_path / "votes.npy")
    assert "Connection refused" in message
    assert "then run again" in message
    assert waited == [0, 0, 0]
    assert names(tmp_path) == []


def test_a_silent_server_is_given_up(tmp_path, server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        message = failure(published(f"http://127.0.0.1:{silent.getsockname()[1]}/votes.npy"), tmp_path / "votes.npy")
    assert "timed out" in message


def test_a_server_that_falls_silent_midway_is_continued(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    plain, calls = Handler.do_GET, []
    released = threading.Event()

    def stalling(handler):
        calls.append(1)
        if len(calls) > 1:
            return plain(handler)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:1000])
        return released.wait(5)

    monkeypatch.setattr(Handler, "do_GET", stalling)
    fetch(published(f"{server.address}/votes.npy"), tmp_path / "votes.npy")
    released.set()
    assert (tmp_path / "votes.npy").read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_a_network_that_goes_away_midway_is_not_taken_for_a_full_disk(server, tmp_path, monkeypatch):
    plain, failures = HTTPResponse.read1, [OSError(errno.EHOSTUNREACH, "No route to host")]

    def read1(response, size):
        if failures:
            raise failures.pop()
        return plain(response, size)

    monkeypatch.setattr(HTTPResponse, "read1", read1)
    arrives(published(f"{server.address}/votes.npy"), tmp_path / "votes.npy")
    assert len(server.asked) == 2


@pytest.mark.parametrize(("hashed", "left"), [(True, ["votes.npy.part"]), (False, [])])
def test_half_a_download_is_kept_only_if_a_hash_can_check_what_is_added(server, tmp_path, hashed, left):
    server.cuts = [1000] * 4
    file = published(f"{server.address}/votes.npy", **({} if hashed else {"bytes": len(CONTENT)}))
    assert "cut after 4000 of 1000000 bytes" in failure(file, tmp_path / "votes.npy")
    assert names(tmp_path) == left


def test_an_answer_with_other_bytes_than_asked_for_starts_again(server, tmp_path, monkeypatch):
    (tmp_path / "votes.npy.part").write_bytes(CONTENT[:300])
    plain = Handler.send_header
    monkeypatch.setattr(
        Handler, "send_header", lambda self, key, value: plain(self, key, value.replace("bytes 300-", "bytes 0-"))
    )
    arrives(published(f"{server.address}/votes.npy"), tmp_path / "votes.npy")
    assert server.asked == ["bytes=300-", None]


@pytest.mark.parametrize("address", ["file:///etc/hostname", "http://127.0.0.1/x", "ftp://127.0.0.1/x", "data:,x"])
def test_a_redirect_to_anything_but_https_is_refused(server, tmp_path, address):
    server.redirect = address
    message = failure(published(f"{server.address}/moved"), tmp_path / "votes.npy")
    assert re.search(r"[Rr]edirect.* (refused|not allowed)", message)
    assert server.asked == [None]
    assert names(tmp_path) == []


def test_a_full_disk_is_noticed_before_the_download(server, tmp_path, monkeypatch):
    usage = download.shutil.disk_usage(tmp_path)._replace(free=999_999)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    message = failure(published(f"{server.address}/votes.npy"), tmp_path / "votes.npy")
    assert "999999 bytes are free, but the download needs 1000000" in message
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_the_users_to_change(server, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match=r"votes\.npy: cannot be written"):
        fetch(published(f"{server.address}/votes.npy"), tmp_path / "taken" / "votes.npy")


# -- the table of published files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_each_file_has_an_address_a_licence_and_a_citation(name):
    file = FILES[name]
    assert file.url.startswith("https://")
    assert file.licence
    assert file.citation
    assert name in (file.member, Path(download.urlsplit(file.url).path).name)
    assert file.bytes is None or file.bytes > 0
    assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)


@pytest.mark.skipif(not CIFAR10H.exists(), reason="needs the published counts of CIFAR-10H in shared/data/cifar10h")
def test_the_published_counts_are_the_expected_ones():
    assert not archives.difference(CIFAR10H / "cifar10h-counts.npy", FILES["cifar10h-counts.npy"])


def test_the_table_is_read_without_numpy_and_the_like():
    code = "import sys, softlabels.datasets.download; print({'numpy', 'pyarrow', 'PIL', 'requests'} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(download.__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert found.stdout == "set()\n"
