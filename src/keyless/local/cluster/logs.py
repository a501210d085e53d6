"""Container logs: asked of the node's kubelet and passed on as they come.

The kubelet is found in the node's status (address and ``daemonEndpoints.kubeletEndpoint.Port``) and gets the kubelet
token; spec: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ (read log).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from keyless.local.cluster.api import Api
from keyless.local.cluster.messages import Reply, Request
from keyless.local.cluster.objects import Target
from keyless.local.cluster.status import ApiError, bad_request, internal, not_found
from keyless.local.cluster.store import Key

_PASSED_ON = ("follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes")
_CONNECT_SECONDS = 5.0


async def read_log(api: Api, request: Request, target: Target) -> Reply:
    """GET …/pods/NAME/log."""
    entry = api.store.get(target.key)
    if entry is None:
        raise not_found("", "pods", target.name)
    container = _container(entry.object, request.params.get("container", ""), target.name)
    node = entry.object["spec"].get("nodeName")
    if not node:
        raise bad_request(f"pod {target.name} does not have a host assigned")
    path = f"/containerLogs/{quote(target.namespace)}/{quote(target.name)}/{quote(container)}"
    params = {name: request.params[name] for name in _PASSED_ON if name in request.params}
    return await _ask(api, _kubelet(api, target.cluster, node) + path, params)


def _container(pod: dict[str, Any], asked: str, name: str) -> str:
    spec = pod["spec"]
    known = [c["name"] for key in ("containers", "initContainers") for c in spec.get(key) or ()]
    main = [c["name"] for c in spec.get("containers") or ()]
    if not asked and len(main) == 1:
        return str(main[0])
    if not asked:
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{' '.join(known)}]")
    if asked not in known:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    return asked


def _kubelet(api: Api, cluster: str, node: str) -> str:
    entry = api.store.get(Key(cluster, "", "nodes", "", node))
    status = entry.object.get("status", {}) if entry else {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    address = next((a["address"] for a in status.get("addresses") or () if a["type"] == "InternalIP"), None)
    if not port or not address:
        raise internal(f'node "{node}" has no kubelet address: is the node running?')
    return f"http://{address}:{port}"


async def _ask(api: Api, url: str, params: dict[str, str]) -> Reply:
    import httpx  # 20 MB: loaded with the first log

    session = httpx.AsyncClient(timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS), trust_env=False)
    headers = {"authorization": f"Bearer {api.settings.kubelet_token}"}
    try:
        answer = await session.send(session.build_request("GET", url, params=params, headers=headers), stream=True)
    except httpx.HTTPError as error:
        await session.aclose()
        raise internal(f'Get "{url}": {str(error) or type(error).__name__}') from error
    if answer.status_code != 200:
        text = (await answer.aread()).decode(errors="replace")[:500]
        await session.aclose()
        reason = {400: "BadRequest", 404: "NotFound"}.get(answer.status_code, "InternalError")
        raise ApiError(answer.status_code, reason, text or f"the kubelet answered {answer.status_code}")

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for piece in answer.aiter_raw():
                yield piece
        finally:
            await answer.aclose()
            await session.aclose()

    return Reply(200, stream=pieces(), media_type="text/plain")
