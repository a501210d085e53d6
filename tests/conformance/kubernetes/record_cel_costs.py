"""Ask a real API server what rules cost: ``make oracle-kubernetes BIN=…``; nothing is stored there (dry runs).

A server tells no cost but how far one is over the limit, and exactly only just above it. So a rule is put on the values
of a map, whose bound is changed until its cost comes to between one and one and a half times the limit.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from conformance.kubernetes.cel_costs import DEFINITIONS, EXPRESSIONS, SCHEMA
from conformance.kubernetes.record_interactions import TOKEN, ready, servers

FILE = Path(__file__).parent / "recordings" / "cel_costs.json"
FACTOR = re.compile(r"estimated rule cost exceeds budget by factor of (?:more than )?([0-9.]+)x")
LIMIT = 10_000_000
PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All"


def definition(schema: dict[str, Any]) -> dict[str, Any]:
    """A CRD with that schema."""
    version = {"name": "v1", "served": True, "storage": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [{**version, "schema": {"openAPIV3Schema": {"type": "object", **schema}}}],
        },
    }


def repeated(rule: str, times: int) -> dict[str, Any]:
    """A schema with the rule on each of at most so many values of a map: of those oldSelf is known."""
    values = {**SCHEMA, "x-kubernetes-validations": [{"rule": rule}]}
    return {"properties": {"spec": {"type": "object", "maxProperties": times, "additionalProperties": values}}}


async def _asked(client: httpx.AsyncClient, schema: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(PATH, json=definition(schema))
    causes = ((answer.json().get("details") or {}).get("causes")) or []
    found = sorted([cause["field"], cause["reason"], cause["message"]] for cause in causes)
    return {"status": answer.status_code, **({"causes": found} if found else {})}


async def _cost(client: httpx.AsyncClient, rule: str) -> int | str:
    """In units; the server's answer for a rule that is too dear alone, or none."""
    times = 1
    for _ in range(60):
        found = await _asked(client, repeated(rule, times))
        if found["status"] == 201 and times > LIMIT:
            return 0
        if found["status"] == 201:
            times *= 16
            continue
        texts = [text for _, _, text in found["causes"]]
        factors = [float(match[1]) for text in texts if (match := FACTOR.search(text))]
        if len(factors) < len(texts) and not factors:
            return " ".join(texts)
        factor = factors[0]
        if factor < 1.5:
            return round(factor * LIMIT / times)
        if times == 1:
            return texts[0]
        times = max(1, int(times / factor * 1.25))
    raise SystemExit(f"no cost found for {rule}")


async def _record(url: str) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, verify=False, headers=headers, trust_env=False, timeout=60) as client:
        await ready(client)
        version = (await client.get("/version")).json()["gitVersion"]
        costs = {rule: await _cost(client, rule) for rule in EXPRESSIONS}
        definitions = {name: await _asked(client, schema) for name, schema in DEFINITIONS.items()}
    told = {"server": version, "costs": costs, "definitions": definitions}
    FILE.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(costs)} rules and {len(definitions)} definitions with {version}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        asyncio.run(_record(servers(stack, Path(sys.argv[1]), Path(folder))))


if __name__ == "__main__":
    main()
