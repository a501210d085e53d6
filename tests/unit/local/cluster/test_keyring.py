"""Keys of a cluster on disk: rotation by itself and by hand, stopped anywhere, with two processes at it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fuzzing import effort
from keyless.local.cluster import keyring as module
from keyless.local.cluster.issuers import Issuers
from keyless.local.cluster.keyring import SCHEDULE, Keyring, new_pem
from keyless.tokens import SigningKey, TokenRefusal, VerifiedServiceAccount, parse_jwks, verify_service_account

NOW = 1_800_000_000
DAY, WEEK = 86400, 7 * 86400
#: making keys takes long, and no key is used twice in one cluster
PEMS = [new_pem() for _ in range(6)]
KIDS = {pem: SigningKey.from_pem(pem).kid for pem in PEMS}


@pytest.fixture
def pems(monkeypatch: pytest.MonkeyPatch) -> None:
    unused = iter(PEMS)
    monkeypatch.setattr(module, "new_pem", lambda: next(unused))


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def states(keyring: Keyring, now: int) -> list[str]:
    return [str(key.state) for key in keyring.settled("keyless", now).ring.keys]


def test_keys_change_every_week_and_stay_until_their_tokens_are_gone(pems: None, database: sqlite3.Connection) -> None:
    keyring = Keyring(database)
    first = keyring.settled("keyless", NOW).signing.kid
    lead = SCHEDULE.cache_seconds
    assert states(keyring, NOW + WEEK - lead - 1) == ["Signing"]
    assert states(keyring, NOW + WEEK - lead) == ["Signing", "Published"]
    keyring.signed("keyless", first, NOW + WEEK + DAY)
    assert states(keyring, NOW + WEEK - 1) == ["Signing", "Published"]
    assert states(keyring, NOW + WEEK) == ["Retiring", "Signing"]
    assert states(keyring, NOW + WEEK + DAY - 1) == ["Retiring", "Signing"]
    assert states(keyring, NOW + WEEK + DAY + 3600) == ["Signing"]


def test_a_key_of_an_older_state_is_carried_over_and_its_tokens_stay_good(
    pems: None, database: sqlite3.Connection
) -> None:
    for statement in module.FIRST_MIGRATIONS:
        database.execute(statement)
    database.execute("INSERT INTO cluster_keys VALUES ('keyless', ?)", (PEMS[5],))
    keyring = Keyring(database)
    old = SigningKey.from_pem(PEMS[5]).kid
    assert keyring.settled("keyless", NOW).signing.kid == old
    keyring.settled("keyless", NOW + WEEK)
    later = keyring.settled("keyless", NOW + WEEK + DAY)
    assert old in later.by_kid
    assert later.signing.kid != old
    assert database.execute("SELECT count(*) FROM cluster_keys").fetchone() == (0,)


def test_clusters_have_keys_of_their_own(pems: None, database: sqlite3.Connection) -> None:
    keyring = Keyring(database)
    one, other = keyring.settled("one", NOW).signing.kid, keyring.settled("other", NOW).signing.kid
    keyring.forget("one")
    assert one != other
    assert keyring.clusters() == ["other"]


def test_a_step_that_fails_leaves_the_ring_as_it_was(
    pems: None, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = Keyring(database)
    before = keyring.settled("keyless", NOW).ring
    database.execute("CREATE TRIGGER full BEFORE INSERT ON cluster_signing_keys BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(sqlite3.Error, match="full"):
        keyring.rotate("keyless", NOW + 1)
    database.execute("DROP TRIGGER full")
    assert not database.in_transaction
    assert keyring.settled("keyless", NOW + 1).ring == before


def test_two_processes_agree(pems: None, tmp_path: Path) -> None:
    connections = [sqlite3.connect(tmp_path / "state.db", isolation_level=None) for _ in range(2)]
    try:
        here, there = (Keyring(connection) for connection in connections)
        here.settled("keyless", NOW)
        version = here.version()
        successor = there.rotate("keyless", NOW).ring.keys[1].kid
        assert here.version() != version
        assert here.rotate("keyless", NOW + 1).ring.keys[1].kid == successor
        ready = NOW + SCHEDULE.cache_seconds
        assert {one.settled("keyless", ready).signing.kid for one in (here, there)} == {successor}
    finally:
        for connection in connections:
            connection.close()


class Rotation(RuleBasedStateMachine):
    """An issuer, a verifier that holds its key set as long as it may, and whoever rotates, in any order.

    No token is refused before its end, however the steps fall; after an emergency the lost key's tokens are.
    """

    @initialize()
    def start(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(module, "new_pem", self.next_pem)
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.now = NOW
        self.lost: set[bytes] = set()
        self.open()
        self.tokens: list[tuple[str, str, int]] = []
        self.fetch()

    def next_pem(self) -> bytes:
        """A key that the cluster neither has nor lost; one that retired may come back, for making one takes long."""
        return next(pem for pem in PEMS if pem not in self.present() | self.lost)

    def present(self) -> set[bytes]:
        return {bytes(row[0]) for row in self.database.execute("SELECT pem FROM cluster_signing_keys")}

    def open(self) -> None:
        """A process starts: nothing but the database is left of the one before."""
        self.issuers = Issuers(self.database, "https://127.0.0.1:6443", lambda: self.now)

    def fetch(self) -> None:
        self.held, self.held_since = parse_jwks(self.issuers.jwks("keyless")), self.now

    def full(self) -> bool:
        return len(self.present() | self.lost) >= len(PEMS) - 2

    @rule(seconds=st.sampled_from([1, 600, 3600, 4000, DAY, WEEK]))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.tokens = [token for token in self.tokens if token[2] > self.now]
        # The verifier looks again once its copy is an hour old.
        if self.now - self.held_since >= 3600:
            self.fetch()

    @rule(life=st.sampled_from([600, 3600, DAY]))
    def sign(self, life: int) -> None:
        claims: dict[str, object] = {
            "iss": self.issuers.url("keyless"),
            "sub": "system:serviceaccount:ns:a",
            "aud": ["x"],
            "iat": self.now,
            "exp": self.now + life,
            "kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "a", "uid": "u"}},
        }
        token = self.issuers.sign("keyless", claims)
        kid = Keyring(self.database).settled("keyless", self.now).signing.kid
        self.tokens.append((token, kid, self.now + life))

    @precondition(lambda self: not self.full())
    @rule()
    def rotate(self) -> None:
        Keyring(self.database).rotate("keyless", self.now)
        self.open()

    @precondition(lambda self: not self.full())
    @rule()
    def lose(self) -> None:
        keyring = Keyring(self.database)
        lost = keyring.settled("keyless", self.now).signing.kid
        self.lost |= {pem for pem, kid in KIDS.items() if kid == lost}
        keyring.replace_lost("keyless", self.now)
        self.open()
        refused = [token for token, kid, _ in self.tokens if kid == lost]
        self.tokens = [token for token in self.tokens if token[1] != lost]
        for token in refused:
            assert isinstance(self.judge(token), TokenRefusal)
        self.fetch()  # as a verifier does that meets a key it does not know

    @rule()
    def restart(self) -> None:
        self.open()

    def judge(self, token: str) -> VerifiedServiceAccount | TokenRefusal:
        return self.issuers.verify("keyless", token, audiences=["x"], now=self.now)

    @invariant()
    def no_living_token_is_refused_by_the_issuer_or_by_a_verifier_with_an_old_copy(self) -> None:
        for token, _, _ in getattr(self, "tokens", ()):
            assert isinstance(self.judge(token), VerifiedServiceAccount)
            held = verify_service_account(
                token, self.held, issuer=self.issuers.url("keyless"), audiences=["x"], now=self.now
            )
            assert isinstance(held, VerifiedServiceAccount)

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()
            self.database.close()


Rotation.TestCase.settings = effort(8, steps=15)
TestRotation = Rotation.TestCase
