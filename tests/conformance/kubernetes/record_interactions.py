"""Ask a real API server anew: ``make oracle-kubernetes BIN=…``, a folder with kube-apiserver and etcd.

Both listen on loopback, with a fresh store, and are ended by their process ids. The controllers that an answer needs
(service accounts) are done without: the accounts are made by the interactions.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from conformance.kubernetes.asking import Answered, asked
from conformance.kubernetes.interactions import INTERACTIONS

FILE = Path(__file__).parent / "recordings" / "interactions.json"
TOKEN = "recorder"
WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _start(stack: ExitStack, *command: str, folder: Path) -> None:
    log = stack.enter_context((folder / f"{Path(command[0]).name}.log").open("wb"))
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def end() -> None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()

    stack.callback(end)


def servers(stack: ExitStack, binaries: Path, folder: Path, *more: str) -> str:
    """The URL of an API server of these binaries, which may not be ready yet; it ends with the stack."""
    store, peers, port = (f"http://127.0.0.1:{_port()}", f"http://127.0.0.1:{_port()}", _port())
    _start(
        stack,
        str(binaries / "etcd"),
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={store}",
        f"--advertise-client-urls={store}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        folder=folder,
    )
    subprocess.run(["openssl", "genrsa", "-out", "sa.key", "2048"], cwd=folder, check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
    _start(
        stack,
        str(binaries / "kube-apiserver"),
        f"--etcd-servers={store}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        "--service-account-issuer=https://127.0.0.1",
        "--service-account-key-file=sa.key",
        "--service-account-signing-key-file=sa.key",
        "--authorization-mode=RBAC",
        "--token-auth-file=tokens.csv",
        "--allow-privileged=true",
        f"--cert-dir={folder}/certs",
        *more,
        folder=folder,
    )
    return f"https://127.0.0.1:{port}"


async def ready(client: httpx.AsyncClient) -> None:
    """Wait for the API server."""
    end = time.monotonic() + 120
    while True:
        try:
            if (await client.get("/readyz")).text == "ok":
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > end:
            raise SystemExit("the API server is not ready after two minutes: see its log")
        await asyncio.sleep(0.5)


async def _record(url: str) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, verify=False, headers=headers, trust_env=False, timeout=20) as client:
        await ready(client)

        async def ask(method: str, path: str, body: bytes, media: str) -> Answered:
            answer = await client.request(method, path, content=body, headers={"content-type": media})
            warnings = tuple(
                re.sub(r"\\(.)", r"\1", text)
                for line in answer.headers.get_list("warning")
                for text in WARNING.findall(line)
            )
            return Answered(answer.status_code, answer.text, warnings)

        version = (await client.get("/version")).json()["gitVersion"]
        found = {one.name: await asked(ask, one, f"space-{n}") for n, one in enumerate(INTERACTIONS)}
    FILE.write_text(json.dumps({"server": version, "answers": found}, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(found)} interactions with {version}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        asyncio.run(_record(servers(stack, Path(sys.argv[1]), Path(folder))))


if __name__ == "__main__":
    main()
