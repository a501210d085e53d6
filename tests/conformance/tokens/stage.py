"""The stage for the matrices: a cloud in memory, one provider, one role, and forms sent to the gateway.

A case is data. ``claims`` and ``header`` change the good token (``null`` is JSON's null, ``drop`` takes a claim away);
``{"now": -301}`` is a time relative to the clock, with ``"as": "text"`` a string of it. ``spoil`` names what is done to
the signed token (:mod:`spoiling`). ``then`` is ``"proven"``, the name of a text in the file, or ``[code, text]``; in
texts ``{now-300}`` is a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key

from conformance.tokens.spoiling import SPOILS
from unit.local.cloud.support import ACCOUNT, ISSUER, PROVIDER, World, ask, document, signing_key
from unit.tokens.forge import CURVES, ec_jwk, rsa_jwk, token_of

FOLDER = Path(__file__).parent
ROLE = f"arn:aws:iam::{ACCOUNT}:role/billing"
SUBJECT = "system:serviceaccount:mxp-1-system:vector"
AUDIENCE = "sts.amazonaws.com"
OTHER_CLIENT = "second-client"
_TIME = re.compile(r"\{now([+-]\d+)?\}")
_NAMESPACE = "{https://sts.amazonaws.com/doc/2011-06-15/}"

Case = Mapping[str, Any]


@dataclass(frozen=True)
class Matrix:
    """A file of cases and the texts they refer to."""

    texts: dict[str, list[str]]
    cases: list[dict[str, Any]]

    @property
    def named(self) -> list[tuple[str, dict[str, Any]]]:
        return [(f"{case['rule']} {case['why']}", case) for case in self.cases]


@cache
def matrix(name: str) -> Matrix:
    """Read ``name.json`` beside this module; names of the stage are filled in."""
    text = (FOLDER / f"{name}.json").read_text("utf-8")
    names = {"account": ACCOUNT, "issuer": ISSUER, "host": PROVIDER, "role": ROLE, "subject": SUBJECT}
    for key, value in names.items():
        text = text.replace(f"<{key}>", value)
    read = json.loads(text)
    return Matrix(read["texts"], read["cases"])


@cache
def private_key(name: str) -> Any:
    """``rsa``, ``other`` (RSA too), or an EC key by its algorithm; made once."""
    return generate_private_key(CURVES[name]()) if name in CURVES else signing_key(name).private


def jwk(name: str, **more: object) -> dict[str, object]:
    """The public JWK of a key, under its own name unless told otherwise."""
    made = ec_jwk(name, private_key(name)) if name in CURVES else rsa_jwk(private_key(name))
    return {**made, "kid": name, **more}


@dataclass
class Answer:
    """What STS answered: an error's code and message, or the fields of the result."""

    status: int
    code: str = ""
    message: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class Stage:
    """One world; ``reset`` before each case."""

    def __init__(self) -> None:
        self.world = World()
        self.iam = self.world.aws("iam")
        self.iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=[AUDIENCE, OTHER_CLIENT])
        self.iam.create_role(RoleName="billing", AssumeRolePolicyDocument=trust())
        self.publish(*(jwk(name) for name in ("rsa", *CURVES)))
        self._good = dict(self.world.issuers.documents)

    def close(self) -> None:
        self.world.close()

    @property
    def now(self) -> int:
        return int(self.world.clock())

    def reset(self) -> None:
        """Good keys and the plain trust; after other keys a new process, which remembers no issuer."""
        if self.world.issuers.documents != self._good:
            self.world.restart()
            self.world.issuers.documents = dict(self._good)
        self.trust(trust())

    def publish(self, *keys: object, discovery: Mapping[str, object] | None = None) -> None:
        found = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys", **(discovery or {})}
        self.world.issuers.documents[f"{ISSUER}/.well-known/openid-configuration"] = json.dumps(found).encode()
        self.world.issuers.documents[f"{ISSUER}/keys"] = json.dumps({"keys": keys}).encode()

    def trust(self, text: str) -> None:
        self._change(trust=text)

    def longest(self, seconds: int) -> None:
        """How long a session of the role may be."""
        self._change(max_session_seconds=seconds)

    def _change(self, **fields: Any) -> None:
        """Straight into the directory: a thousand requests to IAM would take most of the time."""
        directory = self.world.cloud.directory
        role = directory.role("billing")
        assert role is not None
        if any(getattr(role, name) != value for name, value in fields.items()):
            directory.save(replace(role, **fields))

    def token(self, case: Case) -> str:
        header = {"alg": "RS256", "kid": "rsa", "typ": "JWT", **case.get("header", {})}
        claims = {
            "iss": ISSUER,
            "sub": SUBJECT,
            "aud": [AUDIENCE],
            "iat": self.now,
            "nbf": self.now,
            "exp": self.now + 3600,
            **{name: self._timed(value) for name, value in case.get("claims", {}).items()},
        }
        for name in case.get("drop", ()):
            (header if name.startswith("header.") else claims).pop(name.removeprefix("header."))
        texts = [
            json.dumps(part)[:-1] + case.get(extra, "") + "}"
            for part, extra in ((header, "more_header"), (claims, "more_claims"))
        ]
        made = token_of(texts[0], texts[1], private_key(case.get("key", "rsa")))
        return SPOILS[case["spoil"]](made, private_key("rsa")) if "spoil" in case else made

    def _timed(self, value: Any) -> Any:
        if not isinstance(value, dict) or "now" not in value:
            return value
        moment = self.now + value["now"]
        forms = {"text": str, "float": float, "padded": lambda number: f"00{number}"}
        return forms[value["as"]](moment) if "as" in value else moment

    def form(self, **params: Any) -> Answer:
        """Send a form as an SDK without credentials does."""
        fields = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", **params}
        body = urlencode({name: str(value) for name, value in fields.items() if value is not None}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
        status, _, answer = self.world.loop.run(ask(self.world.cloud.app, "POST", "/", headers=headers, body=body))
        return read_answer(status, answer)

    def assume(self, case: Case, **params: Any) -> Answer:
        """Take a case's token to STS."""
        wanted = {"RoleArn": ROLE, "RoleSessionName": "vector", **case.get("params", {}), **params}
        wanted.setdefault("WebIdentityToken", self.token(case) if "token" not in case else case["token"])
        return self.form(**wanted)

    def expected(self, case: Case, texts: Mapping[str, list[str]], then: Any = None) -> tuple[str, str] | None:
        """The code and message a case foretells; None: it succeeds."""
        then = case["then"] if then is None else then
        if then == "proven":
            return None
        code, text = texts[then] if isinstance(then, str) else then
        return code, _TIME.sub(lambda found: str(self.now + int(found[1] or 0)), text)

    def told(self) -> str:
        """Why, as the last line of the audit has it for us alone."""
        row = self.world.connection.execute("SELECT line FROM cloud_audit ORDER BY number DESC LIMIT 1").fetchone()
        return str(json.loads(row[0])["notes"].get("refused", ""))


def read_answer(status: int, body: bytes) -> Answer:
    root = ElementTree.fromstring(body)
    named = {element.tag.removeprefix(_NAMESPACE): element.text or "" for element in root.iter()}
    if status == 200:
        return Answer(status, fields=named)
    return Answer(status, named.get("Code", ""), named.get("Message", ""), named)


def trust(*, actions: tuple[str, ...] = ("sts:AssumeRoleWithWebIdentity",), **condition: Any) -> str:
    """A trust policy for the stage's provider."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"},
        "Action": list(actions),
    }
    if condition:
        statement["Condition"] = condition
    return document(statement)


def agrees(stage: Stage, answer: Answer, case: Case, texts: Mapping[str, list[str]]) -> None:
    """Compare an answer with what a case foretells, to the letter."""
    expected = stage.expected(case, texts)
    if expected is None:
        assert (answer.status, answer.code, answer.message) == (200, "", "")
    else:
        assert (answer.code, answer.message) == expected
        assert answer.status == STATUSES.get(answer.code, 400)
        assert answer.fields["Type"] == ("Receiver" if answer.status == 500 else "Sender")
    for name, value in case.get("answer", {}).items():
        assert answer.fields.get(name) == value, name


#: facts/identity.md#sts: all others are 400
STATUSES = {"AccessDenied": 403, "IDPRejectedClaim": 403, "RegionDisabledException": 403, "InternalFailure": 500}
