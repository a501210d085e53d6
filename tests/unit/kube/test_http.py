"""Over real sockets: tokens and servers that rotate, watches that never starve calls, answers that never come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from keyless.api import Permanent
from keyless.kube import Forbidden, NotFound, Unauthorized, Unavailable, Unreachable, connect, connect_folder
from keyless.kube.http import Endpoint, _tls
from keyless.kube.limits import MAX_CALLS
from keyless.kube.resources import CONFIGMAPS
from keyless.space.kubernetes.certificates import Wanted, make_keys, sign

STORED = {"metadata": {"name": "a"}}


class Server:
    """Answers each request with what ``answer(request line, headers)`` returns: (code, body) or bytes to send raw."""

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.open = {}

    @property
    def connections(self):
        return len(self.open)

    async def handle(self, reader, writer):
        self.open[asyncio.current_task()] = writer
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *rest = head.strip().split("\r\n")
                headers = {key.lower(): value for key, value in (row.split(": ", 1) for row in rest)}
                await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((line.rsplit(" ", 1)[0], headers.get("authorization")))
                answer = self.answer(line, headers)
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                    if answer.endswith(b"!"):
                        break
                    continue
                code, body, *extra = answer
                payload = json.dumps(body).encode()
                fields = "".join(f"{row}\r\n" for row in extra)
                writer.write(
                    f"HTTP/1.1 {code} X\r\ncontent-type: application/json\r\n{fields}"
                    f"content-length: {len(payload)}\r\n\r\n".encode()
                    + payload
                )
                await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(answer):
    server = Server(answer)
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for writer in server.open.values():
            writer.close()
        await asyncio.gather(*server.open)


def folder(tmp_path, url, token="first"):
    ca = ""  # http in these tests: no CA
    for name, text in (("server", url), ("ca.crt", ca), ("token", token)):
        (tmp_path / name).write_text(text + "\n")
    return tmp_path


def kubeconfig(tmp_path, url, user):
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    return {"KUBECONFIG": str(path)}


async def test_a_mounted_folder_is_read_again_when_token_or_server_change(tmp_path):
    async with serving(lambda line, headers: (200, STORED)) as one, serving(lambda line, headers: (200, STORED)) as two:
        async with connect_folder(folder(tmp_path, one.url)) as kube:
            await kube.get(CONFIGMAPS, "a", "default")
            (tmp_path / "token").write_text("second, longer")
            await kube.get(CONFIGMAPS, "a", "default")
            (tmp_path / "server").write_text(two.url + "/clusters/ctp1/")
            await kube.get(CONFIGMAPS, "a", "default")
        path = "/api/v1/namespaces/default/configmaps/a"
        assert one.requests == [(f"GET {path}", "Bearer first"), (f"GET {path}", "Bearer second, longer")]
        assert one.connections == 1
        assert two.requests == [(f"GET /clusters/ctp1{path}", "Bearer second, longer")]


async def test_a_missing_token_file_is_transient_and_names_the_file(tmp_path):
    (folder(tmp_path, "http://127.0.0.1:1") / "token").unlink()
    async with connect_folder(tmp_path) as kube:
        with pytest.raises(Unreachable, match="token: expected a readable file"):
            await kube.get(CONFIGMAPS, "a", "default")


async def test_a_token_file_of_a_kubeconfig_is_read_again_after_a_refusal(tmp_path):
    def answer(line, headers):
        if headers["authorization"] == "Bearer old":
            (tmp_path / "token").write_text("renewed")
            return 401, {"kind": "Status", "message": "Unauthorized", "code": 401}
        return 200, {"metadata": {"name": "a"}}

    (tmp_path / "token").write_text("old\n")
    async with serving(answer) as server:
        async with connect(kubeconfig(tmp_path, server.url, {"tokenFile": "token"})) as kube:
            await kube.get(CONFIGMAPS, "a", "default")
        assert [token for _, token in server.requests] == ["Bearer old", "Bearer renewed"]


async def test_a_plugin_is_asked_once_until_its_token_is_refused(tmp_path):
    program = tmp_path / "plugin"
    program.write_text(
        "#!/bin/sh\n"
        'test -n "$KUBERNETES_EXEC_INFO" || exit 3\n'
        f"echo x >> {tmp_path}/runs; n=$(wc -l < {tmp_path}/runs)\n"
        'echo "{\\"status\\": {\\"token\\": \\"$PREFIX-$(echo $n)\\"}}"\n'
    )
    program.chmod(0o700)
    refused = {"Bearer p-1"}

    def answer(line, headers):
        return (401, {}) if headers["authorization"] in refused and len(server.requests) > 2 else (200, STORED)

    spec = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": str(program),
        "args": ["get-token"],
        "env": [{"name": "PREFIX", "value": "p"}],
    }
    async with serving(answer) as server:
        async with connect(kubeconfig(tmp_path, server.url, {"exec": spec})) as kube:
            for _ in range(4):
                await kube.get(CONFIGMAPS, "a", "default")
        assert [token for _, token in server.requests] == ["Bearer p-1"] * 3 + ["Bearer p-2"] * 2


@pytest.mark.parametrize(
    ("script", "text"),
    [("echo no >&2; exit 4", "exit code 4: no"), ("echo secret-thing", "expected an ExecCredential")],
)
async def test_a_plugin_that_fails_is_named_and_its_output_is_not_shown(tmp_path, script, text):
    program = tmp_path / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    spec = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program)}
    async with connect(kubeconfig(tmp_path, "http://127.0.0.1:1", {"exec": spec})) as kube:
        with pytest.raises(Unauthorized, match=text) as caught:
            await kube.get(CONFIGMAPS, "a", "default")
    assert "secret-thing" not in str(caught.value)


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ({"username": "a", "password": "hidden"}, "username, which is not supported"),
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1alpha1"}}, "is not v1 or v1beta1"),
        ({"client-certificate-data": "%%%"}, "client-certificate-data: expected base64"),
        ({"client-key": "missing.key"}, r"client-key missing\.key: cannot be read"),
    ],
)
def test_a_kubeconfig_that_cannot_work_is_refused_by_name(tmp_path, user, text):
    with pytest.raises(Permanent, match=text) as caught:
        connect(kubeconfig(tmp_path, "http://127.0.0.1:1", user))
    assert "hidden" not in str(caught.value)


def test_without_any_kubeconfig_the_error_says_what_to_set(tmp_path):
    with pytest.raises(Permanent, match="set KUBECONFIG"):
        connect({"HOME": str(tmp_path)})
    with pytest.raises(Permanent, match="found none"):
        connect({"KUBECONFIG": str(tmp_path / "none")})


def test_a_broken_kubeconfig_is_refused_without_quoting_it(tmp_path):
    path = tmp_path / "config"
    path.write_text("token: [hidden-token\n")
    with pytest.raises(Permanent) as caught:
        connect({"KUBECONFIG": str(path)})
    assert "hidden-token" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ((404, {"kind": "Status", "code": 404, "message": 'configmaps "a" not found'}), NotFound, 'configmaps "a" not'),
        ((403, {"kind": "Status", "code": 403, "message": "is forbidden"}), Forbidden, "is forbidden"),
        ((503, {"kind": "Status", "code": 503, "message": "starting"}, "retry-after: 7"), Unavailable, "starting"),
        (b"HTTP/1.1 502 X\r\ncontent-length: 7\r\n\r\n<html>!", Unavailable, "the server answered 502: <html>!"),
        (b"HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\n{!", Unreachable, "no answer"),
    ],
)
async def test_answers_become_errors_that_name_the_next_move(tmp_path, answer, error, text):
    async with serving(lambda line, headers: answer) as server, connect_folder(folder(tmp_path, server.url)) as kube:
        with pytest.raises(error, match=text) as caught:
            await kube.get(CONFIGMAPS, "a", "default")
        if error is Unavailable and "starting" in text:
            assert caught.value.retry_after_seconds == 7


async def test_a_server_that_is_not_there_is_unreachable(tmp_path):
    async with connect_folder(folder(tmp_path, "http://127.0.0.1:1")) as kube:
        with pytest.raises(Unreachable, match=r"at http://127\.0\.0\.1:1: no answer"):
            await kube.get(CONFIGMAPS, "a", "default")


def chunked(text):
    data = text.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


HEAD = b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_many_open_watches_leave_the_connections_of_calls_alone(tmp_path):
    event = json.dumps({"type": "ADDED", "object": {"metadata": {"name": "a"}}}) + "\n"

    def answer(line, headers):
        return HEAD + chunked(event) if "watch=true" in line else (200, STORED)

    async with serving(answer) as server, connect_folder(folder(tmp_path, server.url)) as kube:
        watches = [kube.watch(CONFIGMAPS) for _ in range(MAX_CALLS + 8)]
        for watch in watches:
            assert (await anext(watch)).object["kind"] == "ConfigMap"
        await asyncio.wait_for(kube.get(CONFIGMAPS, "a", "default"), 10)
        for watch in watches:
            await watch.aclose()


async def test_events_are_split_at_newlines_alone_and_a_torn_one_ends_the_stream(tmp_path):
    strange = {"type": "ADDED", "object": {"metadata": {"name": "a"}, "data": {"text": "one\u2028two\x85three"}}}
    line = json.dumps(strange, ensure_ascii=False) + "\n"
    body = chunked(line[:20]) + chunked(line[20:] + '{"type": "MOD') + b"0\r\n\r\n"
    async with serving(lambda *_: HEAD + body) as server, connect_folder(folder(tmp_path, server.url)) as kube:
        watch = kube.watch(CONFIGMAPS)
        assert (await anext(watch)).object["data"] == strange["object"]["data"]
        with pytest.raises(Unreachable, match="broke inside an event"):
            await anext(watch)


def test_a_client_certificate_is_read_where_no_file_can_be_written(monkeypatch):
    """As in a pod whose root is read-only."""
    keys = make_keys("authority", datetime.now(UTC))
    pair = sign(keys, Wanted("operator"), datetime.now(UTC))

    def refused(*args, **kwargs):
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    there = Endpoint("https://127.0.0.1", ca_pem=keys["ca.crt"], certificate_pem=pair.certificate, key_pem=pair.key)
    context = _tls(there)
    assert [each["subject"] for each in context.get_ca_certs()] == [((("commonName", "authority"),),)]
    with pytest.raises(Permanent, match="is no valid PEM"):
        _tls(replace(there, certificate_pem=keys["ca.crt"]))
