"""A control plane with many kinds, the Space's API and S3 in one process: what a collector talks to.

    python -m tests.bench.plane_server FOLDER KINDS INSTANCES CHANGES_PER_SECOND

Instances are spread over the kinds; changes are creations, deletions and modifications in turn, each with the metadata
that an upjet resource carries. Prints the port once it listens and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import itertools
import sys
from pathlib import Path
from typing import Any

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keyless.serving import Tls, bind, serve

GROUP = "bench.example"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PLANES = "/apis/spaces.upbound.io/v1beta1"
IDENTITY = b"""<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>
<UserId>u</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""
PADDING = {f"f:field{n}": {"f:inner": {}} for n in range(40)}


class Plane:
    """The numbers, and an endless watch on each kind."""

    def __init__(self, kinds: int, instances: int) -> None:
        self.names = [f"kind{n}s" for n in range(kinds)]
        self.held: dict[str, list[int]] = {name: [] for name in self.names}
        self.version = 1
        self._serial = itertools.count()
        self._watchers: dict[str, list[asyncio.Queue[bytes]]] = {}
        for number in range(instances):
            self.held[self.names[number % kinds]].append(next(self._serial))

    def metadata(self, name: str) -> dict[str, Any]:
        self.version += 1
        owner = int(name.removeprefix("r")) % 1000 if name.removeprefix("r").isdigit() else 0
        managed = [{"manager": m, "operation": "Update", "fieldsV1": PADDING} for m in ("provider", "crossplane")]
        return {
            "name": name,
            "uid": name,
            "resourceVersion": str(self.version),
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "annotations": {"crossplane.io/external-name": name},
            # Ten resources are one composite's, of a claim in one of twenty namespaces.
            "labels": {
                "crossplane.io/composite": f"app-{owner}",
                "crossplane.io/claim-name": f"app-{owner}",
                "crossplane.io/claim-namespace": f"team-{owner % 20}",
                "team": f"team-{owner % 20}",
            },
            "ownerReferences": [{"kind": "XApp", "name": f"app-{owner}", "uid": f"u-{owner}", "controller": True}],
            "managedFields": managed,
        }

    def line(self, kind: str, name: str, type_: str) -> bytes:
        partial = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": self.metadata(name)}
        return orjson.dumps({"type": type_, "object": partial}) + b"\n"

    def change(self, step: int) -> None:
        kind = self.names[step % len(self.names)]
        held = self.held[kind]
        if step % 3 == 0 or not held:
            held.append(next(self._serial))
            line = self.line(kind, f"r{held[-1]}", "ADDED")
        elif step % 3 == 1:
            line = self.line(kind, f"r{held.pop(0)}", "DELETED")
        else:
            line = self.line(kind, f"r{held[0]}", "MODIFIED")
        for queue in self._watchers.get(kind, ()):
            queue.put_nowait(line)

    def initial(self, kind: str) -> bytes:
        lines = [self.line(kind, f"r{number}", "ADDED") for number in self.held[kind]]
        return b"".join(lines)

    def bookmark(self) -> bytes:
        metadata = {"resourceVersion": str(self.version), "annotations": {"k8s.io/initial-events-end": "true"}}
        return orjson.dumps({"type": "BOOKMARK", "object": {"metadata": metadata}}) + b"\n"

    def follow(self, kind: str) -> asyncio.Queue[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._watchers.setdefault(kind, []).append(queue)
        return queue

    def definition(self, name: str) -> dict[str, Any]:
        plural = name.removesuffix(f".{GROUP}")
        schema = {f"field{n}": {"type": "string", "description": "words " * 40} for n in range(200)}
        return {
            "metadata": self.metadata(name),
            "spec": {
                "group": GROUP,
                "scope": "Cluster",
                "names": {"plural": plural, "kind": plural.title(), "categories": ["managed"]},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }


class App:
    """The ASGI application."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self.stored = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path, watching = scope["path"], b"watch=true" in scope["query_string"]
        if path.startswith("/apis/") and watching:
            await self._watch(path, send)
            return
        while (await receive()).get("more_body"):
            pass
        status, body = self._answer(scope["method"], path)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, method: str, path: str) -> tuple[int, bytes]:
        if path.startswith(CRDS + "/"):
            return 200, orjson.dumps(self._plane.definition(path.rpartition("/")[2]))
        if path.startswith(PLANES):
            return 200, b"{}"
        if path.startswith("/apis/"):
            held = self._plane.held.get(path.rpartition("/")[2], [])
            items = [{"metadata": self._plane.metadata(f"r{number}")} for number in held]
            return 200, orjson.dumps({"metadata": {"resourceVersion": "1"}, "items": items})
        self.stored += method == "PUT"
        return 200, IDENTITY if method == "POST" else b""

    async def _watch(self, path: str, send: Any) -> None:
        plane, name = self._plane, path.rpartition("/")[2]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        queue = plane.follow(name)
        if path == CRDS:
            first = b"".join(plane.line(name, f"{each}.{GROUP}", "ADDED") for each in plane.names)
        else:
            first = b"" if path.startswith(PLANES) else plane.initial(name)
        await send({"type": "http.response.body", "body": first + plane.bookmark(), "more_body": True})
        while True:
            await send({"type": "http.response.body", "body": await queue.get(), "more_body": True})


def certificate(folder: Path) -> None:
    """A self-signed one for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption()))


async def main(folder: Path, kinds: int, instances: int, per_second: int) -> None:
    """Serve until the standard input ends."""
    certificate(folder)
    plane = Plane(kinds, instances)
    sock = bind("127.0.0.1", 0)
    serving = asyncio.create_task(serve(App(plane), sock, tls=Tls(str(folder / "ca.crt"), str(folder / "key.pem"))))
    print(sock.getsockname()[1], flush=True)
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    step = 0
    while not ended.done():
        for _ in range(per_second // 20):
            step += 1
            plane.change(step)
        await asyncio.sleep(0.05)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:5])))
