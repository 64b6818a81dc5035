"""The mail catcher, run as the supervisor runs it and fed by our own SMTP session."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from iria_news import smtp
from iria_news.environment import SubmissionServer

MESSAGE = (
    b"From: news@ir-ia.example\r\nTo: mara@example.org\r\nSubject: =?utf-8?q?K=C3=BCste?=\r\n\r\n"
    b"First line\r\n.\r\n..two dots\r\n.leading dot \xc3\xa9 and a long line "
    + b"x" * 900
    + b"\r\n"
)


def start(data_dir: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "iria_news.embedded.catcher"]
    return subprocess.Popen(command, env=os.environ | {"DATA_DIR": str(data_dir)})


@contextlib.contextmanager
def catching(data_dir: Path) -> Iterator[SubmissionServer]:
    process = start(data_dir)
    server = SubmissionServer("localhost", 0, unix_socket=str(data_dir / "run" / "catcher.sock"))
    try:
        wait_for(server)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def wait_for(server: SubmissionServer) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with smtp.Session(server):
                return
        except smtp.ServerUnavailable:
            assert time.monotonic() < deadline, "the catcher did not start"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catcher")


@pytest.fixture(scope="module")
def server(data_dir: Path) -> Iterator[SubmissionServer]:
    with catching(data_dir) as running:
        yield running


def kept(data_dir: Path) -> list[Path]:
    return sorted((data_dir / "inbox").glob("*.eml"))


def submit(session: smtp.Session, message: bytes, recipient: str = "mara@example.org") -> None:
    result = session.submit(sender="bounce+1@ir-ia.example", recipient=recipient, message=message)
    assert result.kind is smtp.Kind.ACCEPTED, result


def test_a_message_is_kept_byte_for_byte_with_its_envelope_beside_it(server, data_dir):
    with smtp.Session(server) as session:
        submit(session, MESSAGE)

    newest = kept(data_dir)[-1]
    assert newest.read_bytes() == MESSAGE
    envelope = json.loads(newest.with_suffix(".json").read_text())
    assert envelope == {"from": "bounce+1@ir-ia.example", "to": ["mara@example.org"]}
    assert stat.S_IMODE(newest.stat().st_mode) == 0o600


def test_names_sort_by_time_of_arrival(server, data_dir):
    before = len(kept(data_dir))
    with smtp.Session(server) as session:
        for number in range(20):
            submit(session, f"Subject: {number}\r\n\r\n".encode())

    subjects = [path.read_bytes().split()[1] for path in kept(data_dir)[before:]]
    assert subjects == [str(number).encode() for number in range(20)]


def test_what_it_offers(server):
    with smtp.Session(server) as session:
        assert all(session.offers(name) for name in ("pipelining", "8bitmime", "smtputf8", "size"))


def test_a_recipient_with_other_letters_is_kept_as_given(server, data_dir):
    with socket.socket(socket.AF_UNIX) as line, line.makefile("rwb") as file:
        line.connect(server.unix_socket)
        file.write(b"EHLO localhost\r\nMAIL FROM:<> SMTPUTF8\r\n")
        file.write("RCPT TO:<måra@exämple.org>\r\nDATA\r\n".encode())
        file.flush()
        while not (reply := file.readline()).startswith(b"354"):
            assert reply[:1] == b"2"
        file.write(b"Subject: x\r\n\r\n.\r\nQUIT\r\n")
        file.flush()
        assert file.readline().startswith(b"250 Kept as")

    envelope = json.loads(kept(data_dir)[-1].with_suffix(".json").read_text())
    assert envelope == {"from": "", "to": ["måra@exämple.org"]}


def test_a_message_cut_off_before_its_end_is_not_kept(server, data_dir):
    before = kept(data_dir)
    with socket.socket(socket.AF_UNIX) as line, line.makefile("rwb") as file:
        line.connect(server.unix_socket)
        file.write(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n")
        file.flush()
        while not file.readline().startswith(b"354"):
            pass
        file.write(b"Subject: half")
        file.flush()

    wait_for(server)
    assert kept(data_dir) == before
    assert list((data_dir / "inbox").glob(".*")) == []


def test_a_full_disk_asks_to_try_again(tmp_path):
    with catching(tmp_path) as server:
        (tmp_path / "inbox").rmdir()
        with smtp.Session(server) as session:
            result = session.submit(
                sender="a@ir-ia.example", recipient="b@example.org", message=MESSAGE
            )

    assert result.kind is smtp.Kind.DEFERRED
    assert result.code == 452


def test_a_socket_left_by_a_killed_catcher_is_replaced_and_a_live_one_is_not(tmp_path):
    (tmp_path / "run").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "run" / "catcher.sock"))

    with catching(tmp_path) as server:
        second = start(tmp_path)
        assert second.wait(timeout=10) == 1
        wait_for(server)
