"""The signing keys of every cluster, kept in SQLite, and their rotation on disk.

What is due is decided by :mod:`keyless.tokens.rotation`; here each step is one transaction, so whoever stops after any
of them finds a ring that says how to go on. Two processes may hold this: the running Space, and ``keyless keys``.
A key is made when it is published, and leaves when the last token that it signed has expired.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from keyless.tokens import SigningKey
from keyless.tokens.rotation import Act, Ring, RingKey, Schedule, State, Step, apply, emergency, next_steps

#: one key for each cluster, as it was before keys rotated; read once and carried over
FIRST_MIGRATIONS = ("CREATE TABLE IF NOT EXISTS cluster_keys (cluster TEXT PRIMARY KEY, pem BLOB NOT NULL)",)
MIGRATIONS = (
    "CREATE TABLE IF NOT EXISTS cluster_signing_keys (cluster TEXT NOT NULL, kid TEXT NOT NULL, pem BLOB NOT NULL,"
    " state TEXT NOT NULL, since INTEGER NOT NULL, tokens_until INTEGER NOT NULL, PRIMARY KEY (cluster, kid))",
)
#: EKS changes keys about every seven days (facts/identity.md#issuer). Verifiers hold a set for an hour, as it is served
#: and as the local STS does; five minutes more are for clocks and slow fetches. The last is for keys whose
#: tokens nobody counted.
SCHEDULE = Schedule(rotate_after=7 * 86400, cache_seconds=3600 + 300, token_seconds=365 * 86400)
_KEY_BITS = 2048
_ROUNDED_TO = 3600


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one cluster: where each is in its life, and each one itself."""

    ring: Ring
    by_kid: Mapping[str, SigningKey]

    @property
    def signing(self) -> SigningKey:
        """The key that signs now."""
        assert self.ring.signing is not None
        return self.by_kid[self.ring.signing.kid]

    @property
    def all(self) -> tuple[SigningKey, ...]:
        """Every key that is published."""
        return tuple(self.by_kid[key.kid] for key in self.ring.keys)


class Keyring:
    """Reads, makes and turns keys."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        for statement in (*FIRST_MIGRATIONS, *MIGRATIONS):
            database.execute(statement)

    def version(self) -> int:
        """Changes whenever another process has written."""
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def clusters(self) -> list[str]:
        """The clusters that have keys."""
        query = "SELECT cluster FROM cluster_keys UNION SELECT cluster FROM cluster_signing_keys ORDER BY 1"
        return [row[0] for row in self._database.execute(query)]

    def settled(self, cluster: str, now: int) -> Keys:
        """The keys after every step that is due; the first call makes the first key."""
        while steps := next_steps(self._ring(cluster, now), SCHEDULE, now=now):
            self._take(cluster, steps[0], now)
        query = "SELECT kid, pem FROM cluster_signing_keys WHERE cluster = ?"
        pems = self._database.execute(query, (cluster,)).fetchall()
        return Keys(self._ring(cluster, now), {kid: _read(bytes(pem)) for kid, pem in pems})

    def rotate(self, cluster: str, now: int) -> Keys:
        """Begin a rotation now: a successor is published, and signs as soon as every verifier may know it."""
        ring = self.settled(cluster, now).ring
        if not any(key.state is State.PUBLISHED for key in ring.keys):
            self._take(cluster, Step(Act.PUBLISH), now)
        return self.settled(cluster, now)

    def replace_lost(self, cluster: str, now: int) -> Keys:
        """The signing key is lost: its tokens are refused from now on, and another key signs at once."""
        lost = self.settled(cluster, now).signing.kid
        with self._transaction():
            before = self._ring(cluster, now)
            self._write(cluster, before, emergency(before, lost=lost)[0])
        return self.settled(cluster, now)

    def signed(self, cluster: str, kid: str, expires_at: int) -> None:
        """Remember until when a key's tokens live, to the hour: so it is written about once in an hour."""
        until = -(-expires_at // _ROUNDED_TO) * _ROUNDED_TO
        statement = (
            "UPDATE cluster_signing_keys SET tokens_until = ? WHERE cluster = ? AND kid = ? AND tokens_until < ?"
        )
        self._database.execute(statement, (until, cluster, kid, until))

    def forget(self, cluster: str) -> None:
        """Drop the keys of a cluster that is gone."""
        with self._transaction():
            for table in ("cluster_keys", "cluster_signing_keys"):
                self._database.execute(f"DELETE FROM {table} WHERE cluster = ?", (cluster,))  # noqa: S608 - ours

    # One step -----------------------------------------------------------------------------------------------------

    def _take(self, cluster: str, step: Step, now: int) -> None:
        pem = new_pem() if step.act is Act.PUBLISH else b""  # slow: not while others wait for the transaction
        with self._transaction():
            before = self._ring(cluster, now)
            if step.act is Act.PUBLISH:
                step = Step(step.act, _read(pem).kid)
            self._write(cluster, before, apply(before, step, now=now), pem)

    def _write(self, cluster: str, before: Ring, after: Ring, pem: bytes = b"") -> None:
        known, kept = {key.kid for key in before.keys}, {key.kid for key in after.keys}
        for key in after.keys:
            place = (key.state, key.since, cluster, key.kid)
            if key.kid in known:
                statement = "UPDATE cluster_signing_keys SET state = ?, since = ? WHERE cluster = ? AND kid = ?"
                self._database.execute(statement, place)
            else:
                statement = (
                    "INSERT INTO cluster_signing_keys (state, since, cluster, kid, pem, tokens_until)"
                    " VALUES (?, ?, ?, ?, ?, 0)"
                )
                self._database.execute(statement, (*place, pem))
        for kid in known - kept:
            statement = "DELETE FROM cluster_signing_keys WHERE cluster = ? AND kid = ?"
            self._database.execute(statement, (cluster, kid))

    def _ring(self, cluster: str, now: int) -> Ring:
        query = (
            "SELECT kid, state, since, tokens_until FROM cluster_signing_keys WHERE cluster = ? ORDER BY since, rowid"
        )
        rows = self._database.execute(query, (cluster,)).fetchall()
        if not rows and self._carried_over(cluster, now):
            rows = self._database.execute(query, (cluster,)).fetchall()
        return Ring(tuple(RingKey(kid, State(state), since, until) for kid, state, since, until in rows))

    def _carried_over(self, cluster: str, now: int) -> bool:
        row = self._database.execute("SELECT pem FROM cluster_keys WHERE cluster = ?", (cluster,)).fetchone()
        if row is None:
            return False
        pem = bytes(row[0])
        with self._transaction():
            until = now + SCHEDULE.token_seconds  # nobody counted the tokens that it signed so far
            self._database.execute(
                "INSERT OR IGNORE INTO cluster_signing_keys VALUES (?, ?, ?, ?, ?, ?)",
                (cluster, _read(pem).kid, pem, State.SIGNING, now, until),
            )
            self._database.execute("DELETE FROM cluster_keys WHERE cluster = ?", (cluster,))
        return True

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._database.in_transaction:
            yield
            return
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


@lru_cache(maxsize=64)
def _read(pem: bytes) -> SigningKey:
    """Reading a key checks it, which takes tens of milliseconds."""
    return SigningKey.from_pem(pem)


def new_pem() -> bytes:
    """A new RSA private key."""
    from cryptography.hazmat.primitives import serialization  # loaded late: few processes ever make a key
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
