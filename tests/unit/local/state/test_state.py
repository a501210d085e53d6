"""The state folder: one holder, safe modes, kept ports, forward migrations."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509

from keyless.api import Permanent
from keyless.cli.location import default_folder
from keyless.local.state import (
    Authority,
    PortBusy,
    State,
    StateFull,
    StateInUse,
    StateTooNew,
    StateUnsafe,
)
from keyless.local.state.errors import named_failures
from keyless.local.state.lock import is_held

STEPS = ["CREATE TABLE thing (name TEXT)", "INSERT INTO thing VALUES ('first'); INSERT INTO thing VALUES ('second')"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_new_folder_is_made_for_its_owner_alone(folder: Path) -> None:
    State.open(folder).close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_the_database_survives_the_process_and_not_the_power(folder: Path) -> None:
    state = State.open(folder)
    assert state.database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert state.database.execute("PRAGMA synchronous").fetchone() == (1,)
    state.close()


def test_a_second_holder_is_refused_and_told_who_holds_it(folder: Path) -> None:
    state = State.open(folder)
    with pytest.raises(StateInUse, match=f"in use by process {os.getpid()}"):
        State.open(folder)
    state.close()
    State.open(folder).close()


def test_the_lock_ends_with_its_process_however_it_ends(folder: Path) -> None:
    code = f"import os; from keyless.local.state import State; s = State.open({str(folder)!r}); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    State.open(folder).close()


def test_a_folder_that_others_may_read_is_refused_with_the_mending_command(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(0o755)
    with pytest.raises(StateUnsafe, match=f"found 0755; run: chmod 700 {folder}"):
        State.open(folder)


@pytest.mark.parametrize("mode", [0o500, 0o600, 0o300, 0o711, 0o777])
def test_every_mode_but_the_owners_own_is_refused_with_the_mending_command(folder: Path, mode: int) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(mode)
    with pytest.raises(StateUnsafe) as refused:
        State.open(folder)
    command = str(refused.value).partition("run: ")[2]
    subprocess.run(["/bin/sh", "-c", command], check=True)
    State.open(folder).close()


def test_the_mending_command_is_one_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "my state; it's"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(StateUnsafe) as refused:
        State.open(folder)
    subprocess.run(["/bin/sh", "-c", str(refused.value).partition("run: ")[2]], check=True)
    State.open(folder).close()


@pytest.mark.parametrize(("mode", "owner"), [(0o700, 0), (0o755, 0), (0o755, 1), (0o500, 1)])
def test_a_read_only_file_system_is_named_whatever_else_is_wrong(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int
) -> None:
    """No chmod and no other user helps there, so neither is told of."""
    folder.mkdir(mode=0o700)
    folder.chmod(mode)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY | os.ST_NOSUID))
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + owner)
    with pytest.raises(StateUnsafe) as refused:
        State.open(folder)
    assert "found a read-only file system; mount it for writing, or choose another folder" in str(refused.value)
    assert "chmod" not in str(refused.value)


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.EROFS, "found a read-only file system"), (errno.EACCES, "make it yours"), (errno.EPERM, "make it yours")],
)
def test_each_cause_of_a_folder_that_cannot_be_written_has_its_own_hint(folder: Path, number: int, told: str) -> None:
    with pytest.raises(StateUnsafe, match=told) as refused, named_failures(folder):
        raise OSError(number, os.strerror(number), str(folder / "lock"))
    assert ("make it yours" in str(refused.value)) == (number != errno.EROFS)


def test_a_database_that_became_read_only_is_told_as_such(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    State.open(folder).close()
    with closing(sqlite3.connect(f"file:{folder / 'state.db'}?mode=ro", uri=True)) as database:
        with pytest.raises(StateUnsafe, match=r"expected to write state\.db"), named_failures(folder):
            database.execute("INSERT INTO port VALUES ('a', 1)")
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
        with pytest.raises(StateUnsafe, match="found a read-only file system"), named_failures(folder):
            database.execute("INSERT INTO port VALUES ('a', 1)")


def test_a_file_in_place_of_the_folder_is_refused(folder: Path) -> None:
    folder.write_text("")
    with pytest.raises(StateUnsafe, match="found a file"):
        State.open(folder)


def test_a_file_in_place_of_the_folder_is_held_by_nobody(folder: Path) -> None:
    folder.write_text("")
    assert not is_held(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(StateUnsafe, match="found 12345"):
        State.open(folder)


def test_a_file_that_is_no_database_is_named(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "state.db").write_text("not a database" * 100)
    with pytest.raises(Permanent, match=r"state\.db is no readable database"):
        State.open(folder)


def test_migrations_run_once_and_in_order(folder: Path) -> None:
    state = State.open(folder)
    state.migrate("part", STEPS[:1])
    state.migrate("part", STEPS)
    state.migrate("part", STEPS)
    assert state.database.execute("SELECT name FROM thing").fetchall() == [("first",), ("second",)]
    state.close()


def test_a_migration_that_fails_leaves_nothing_behind(folder: Path) -> None:
    state = State.open(folder)
    with pytest.raises(Exception, match="nonsense"):
        state.migrate("part", ["CREATE TABLE thing (name TEXT); nonsense"])
    state.migrate("part", STEPS)
    assert len(state.database.execute("SELECT name FROM thing").fetchall()) == 2
    state.close()


def test_a_newer_part_is_refused(folder: Path) -> None:
    state = State.open(folder)
    state.migrate("part", STEPS)
    with pytest.raises(StateTooNew, match="expected version 1 or older, found 2"):
        state.migrate("part", STEPS[:1])
    state.close()


def test_a_port_is_chosen_once_and_kept(folder: Path) -> None:
    state = State.open(folder)
    chosen = {name: state.port(name) for name in ("kubernetes", "aws")}
    assert len(set(chosen.values())) == 2
    state.close()
    state = State.open(folder)
    assert {name: state.port(name) for name in ("kubernetes", "aws")} == chosen
    state.close()


def test_a_kept_port_that_is_busy_is_an_error_with_its_holder(folder: Path) -> None:
    state = State.open(folder)
    with socket.socket() as other:
        other.bind(("127.0.0.1", state.port("aws")))
        other.listen()
        with pytest.raises(PortBusy, match=rf"port {state.port('aws')} \(aws\).*found process {os.getpid()}"):
            state.listen("aws")
        with pytest.raises(PortBusy):
            state.require_free("aws")
    with state.listen("aws") as listener:
        assert listener.getsockname() == ("127.0.0.1", state.port("aws"))
    state.close()


def test_a_secret_is_made_once(folder: Path) -> None:
    state = State.open(folder)
    assert state.secret("admin", lambda: "one") == "one"
    state.close()
    state = State.open(folder)
    assert state.secret("admin", lambda: "two") == "one"
    state.close()


def test_the_served_chain_ends_with_the_authority_and_is_trusted(folder: Path) -> None:
    state = State.open(folder)
    chain_path, key_path = state.authority.server_certificate(["127.0.0.1", "localhost"])
    chain = x509.load_pem_x509_certificates(chain_path.read_bytes())
    assert [certificate.issuer for certificate in chain] == [chain[1].subject, chain[1].subject]
    chain[0].verify_directly_issued_by(chain[1])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain_path, key_path)
    ssl.create_default_context(cadata=state.authority.ca_pem)
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    state.close()


def test_the_authority_stays_and_certificates_are_renewed_near_their_end(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    authority = Authority(tmp_path, now=now)
    chain_path, _ = authority.server_certificate(["localhost"])
    first = chain_path.read_bytes()
    assert Authority(tmp_path, now=now + timedelta(days=300)).server_certificate(["localhost"])[0].read_bytes() == first
    later = Authority(tmp_path, now=now + timedelta(days=390))
    assert later.ca_pem == authority.ca_pem
    assert later.server_certificate(["localhost"])[0].read_bytes() != first


def test_a_full_disk_is_named() -> None:
    with pytest.raises(StateFull, match="/somewhere: the disk is full"), named_failures(Path("/somewhere")):
        raise OSError(28, "No space left on device")


def test_a_full_database_is_named(folder: Path) -> None:
    state = State.open(folder)
    pages = state.database.execute("PRAGMA page_count").fetchone()[0]
    state.database.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(StateFull):
        state.migrate("part", ["CREATE TABLE big (x TEXT); INSERT INTO big VALUES (hex(zeroblob(100000)))"])
    state.close()


def test_a_disk_that_has_no_room_for_the_databases_index_is_named() -> None:
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    with pytest.raises(Permanent, match=r"/somewhere: state\.db cannot be used"), named_failures(Path("/somewhere")):
        raise failure


def test_the_folder_is_found_where_the_user_keeps_data() -> None:
    assert default_folder({"KEYLESS_STATE": "/a/b"}) == Path("/a/b")
    assert default_folder({"XDG_DATA_HOME": "/data", "HOME": "/home/me"}) == Path("/data/keyless")
    assert default_folder({"HOME": "/home/me"}) == Path("/home/me/.local/share/keyless")
