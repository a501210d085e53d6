"""One decision on a role of 10 statements: with and without conditions, ours and moto's; variables; many roles."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from keyless.policy import Named, Policies, Principal, Request, evaluate, parse
from tests.bench.peers import moto_python
from tests.bench.row import Row, microseconds

ACTION, RESOURCE = "s3:PutObject", "arn:aws:s3:::usage/account=acme/2026/11/22/part-1"
ROLE = "arn:aws:iam::111122223333:role/billing"
SESSION = "arn:aws:sts::111122223333:assumed-role/billing/vector"
CONTEXT = {
    "aws:SourceIp": "10.1.2.3",
    "aws:SecureTransport": "true",
    "aws:RequestedRegion": "us-west-2",
    "aws:CurrentTime": "2026-11-22T00:00:00Z",
    "aws:PrincipalTag/kubernetes-namespace": "mxp-1-system",
}
CONDITION = {
    "StringEquals": {"aws:RequestedRegion": ["us-west-2", "eu-central-1"]},
    "StringLike": {"aws:PrincipalTag/kubernetes-namespace": "mxp-*-system"},
    "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
    "Bool": {"aws:SecureTransport": "true"},
}
ROLES = 10_000
VARIABLES = 120
VARYING = (
    ("one list", "{}/{}/*", False),
    ("120 statements", "{}/{}/*", True),
    ("one list with ?", "{}/{}?x*", False),
    ("several stars", "*/{}/{}/b*", False),
)


def document(*, conditions: bool) -> dict[str, Any]:
    """Ten statements: three services, two Denies, the last Allow decides."""
    allow: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"]}
    statements = [
        {
            "Effect": "Allow",
            "Action": "secretsmanager:GetSecretValue",
            "Resource": f"arn:aws:secretsmanager:*:*:secret:{n}-*",
        }
        for n in "abc"
    ]
    statements += [
        {"Effect": "Allow", "Action": "ssm:Get*", "Resource": f"arn:aws:ssm:*:*:parameter/{n}/*"} for n in "ab"
    ]
    statements += [
        {"Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{n}/*"} for n in ("locked", "sealed")
    ]
    statements += [{**allow, "Resource": f"arn:aws:s3:::{n}/*"} for n in ("other", "another")]
    last = {**allow, "Resource": "arn:aws:s3:::usage/account=acme/*"}
    statements.append({**last, "Condition": CONDITION} if conditions else last)
    return {"Version": "2012-10-17", "Statement": statements}


def bench() -> Iterator[Row]:
    """Microseconds for each, and the ratio."""
    principal = Principal("AssumedRole", "111122223333", SESSION, role_arn=ROLE, unique_id="AROA:vector")
    request = Request(ACTION, RESOURCE, principal, CONTEXT)
    found = {}
    for conditions in (False, True):
        policies = Policies(identity=(Named("role", parse(document(conditions=conditions), "identity")),))
        assert evaluate(request, policies).allowed
        found[conditions] = microseconds(lambda policies=policies: evaluate(request, policies))
    question = {"policy": document(conditions=False), "action": ACTION, "resource": RESOURCE}
    script = Path(__file__).parent / "moto_policy.py"
    said = subprocess.run(
        [moto_python(), "-P", script], input=json.dumps(question), capture_output=True, text=True, check=True
    )
    kept, parsed = (float(line) for line in said.stdout.split())
    plain, conditional = found[False], found[True]
    what = "decision, 10 statements"
    peer = f"moto, policy kept, {kept:.1f} µs, {kept / plain:.1f}×"
    yield Row("policy", f"{what}, no conditions", f"{plain:.1f} µs", peer, "≥ 5×", kept / plain >= 5)
    peer = f"moto, as it asks, {parsed:.1f} µs, {parsed / plain:.1f}×"
    yield Row("policy", f"{what}, no conditions", f"{plain:.1f} µs", peer, "≥ 5×", parsed / plain >= 5)
    peer = "moto knows no such conditions"
    yield Row("policy", f"{what}, 4 conditions", f"{conditional:.1f} µs", peer, "≤ 10 µs", conditional <= 10)
    yield _variables(principal)
    yield from _many_roles(principal)


def _variables(principal: Principal) -> Row:
    """Policies with many variables against the same with their values written out; each request with other values."""
    ratios = {}
    for name, shape, apart in VARYING:
        found = []
        for value in ("red", "${aws:PrincipalTag/team}"):
            resources = [f"arn:aws:s3:::usage/{shape.format(value, number)}" for number in range(VARIABLES)]
            each = resources if apart else [resources]
            statements = [{"Effect": "Allow", "Action": "s3:*", "Resource": one} for one in each]
            document = parse({"Version": "2012-10-17", "Statement": statements}, "identity")
            policies = Policies(identity=(Named("role", document),))
            found.append(microseconds(partial(_next, _sessions(principal), policies), seconds=1.0))
        ratios[name] = (found[1], found[0], found[1] / found[0])
    worst = max(ratios, key=lambda name: ratios[name][2])
    variable, plain, ratio = ratios[worst]
    ours, peer = f"{variable:.1f} µs ({worst})", f"without variables {plain:.1f} µs, {ratio:.1f}×"
    return Row("policy", f"decision, {VARIABLES} policy variables", ours, peer, "≤ 3×", ratio <= 3)


def _sessions(principal: Principal) -> Iterator[Request]:
    """Sessions whose tags differ, without an end: what was made for one helps no other."""
    for number in cycle(range(500)):
        context = {**CONTEXT, "aws:PrincipalTag/team": f"red{number}"}
        yield Request(ACTION, f"arn:aws:s3:::usage/red{number}/none", principal, context)


def _next(requests: Iterator[Request], policies: Policies) -> None:
    evaluate(next(requests), policies)


def _many_roles(principal: Principal) -> Iterator[Row]:
    """What a compiled role costs, and decisions on each of them in turn: nothing of one helps the next."""
    text = json.dumps(document(conditions=True))
    texts = [text.replace("acme", f"acme{number}").replace("locked", f"locked{number}") for number in range(ROLES)]
    gc.collect()
    before, start = _resident(), time.process_time()
    roles = [Policies(identity=(Named("role", parse(one, "identity")),)) for one in texts]
    compiling, kept = (time.process_time() - start) / ROLES, (_resident() - before) / ROLES
    requests = [
        Request(ACTION, RESOURCE.replace("acme", f"acme{number}"), principal, CONTEXT) for number in range(ROLES)
    ]
    rounds = []
    for _ in range(3):
        start = time.process_time()
        assert all(evaluate(request, role).allowed for request, role in zip(requests, roles, strict=True))
        rounds.append((time.process_time() - start) / ROLES * 1e6)
    first, later = rounds[0], min(rounds[1:])
    what = f"{ROLES:,} roles of 10 statements, 4 conditions"
    yield Row(
        "policy", f"{what}: compiled and kept", f"{compiling * 1e6:.0f} µs, {kept / 1024:.0f} KiB each", "", "", None
    )
    decisions = f"{first:.1f} µs the first time, then {later:.1f} µs"
    yield Row("policy", f"{what}: a decision on each in turn", decisions, "", "", None)


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
