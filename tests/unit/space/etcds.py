"""An etcd as its gateway shows it: a file that only grows, pages that a compaction frees, an alarm that stays."""

from __future__ import annotations

from typing import Any

import orjson

from keyless.kube import Kube
from keyless.kube.transport import Request, Response

MEMBER = "13668033151171901709"


class MemoryEtcd:
    """``live`` bytes that somebody wants, ``old`` ones that were deleted, ``free`` ones that a compaction freed."""

    def __init__(self, *, live: int = 1 << 20, quota: int = 1 << 30) -> None:
        self.live, self.old, self.free, self.quota = live, 0, 0, quota
        self.alarm = False
        self.tells_quota = True
        self.asked: list[str] = []
        self.refused: frozenset[str] = frozenset()
        self.answer: bytes | None = None

    @property
    def used(self) -> int:
        """The length of its file."""
        return self.live + self.old + self.free

    def write(self, size: int) -> bool:
        """Somebody writes; whether it was taken."""
        if self.alarm or self.used + max(size - self.free, 0) > self.quota:
            self.alarm = True
            return False
        self.live, self.free = self.live + size, max(self.free - size, 0)
        return True

    def delete(self, size: int) -> None:
        """Somebody deletes, which is always taken."""
        size = min(size, self.live)
        self.live, self.old = self.live - size, self.old + size

    def kube(self) -> Kube:
        """The way in."""
        return Kube(self)

    async def send(self, request: Request) -> Response:
        what = request.path.removeprefix("/v3/")
        self.asked.append(what)
        if self.answer is not None:
            return Response(200, {"content-type": "application/json"}, self.answer)
        if what in self.refused:
            said = {"error": "etcdserver: no", "code": 8, "message": "etcdserver: no"}
            return Response(503, {"content-type": "application/json"}, orjson.dumps(said))
        body = orjson.loads(request.body or b"{}")
        return Response(200, {"content-type": "application/json"}, orjson.dumps(self._do(what, body)))

    def _do(self, what: str, body: Any) -> Any:
        match what:
            case "kv/compaction":
                self.old, self.free = 0, self.free + self.old
            case "maintenance/defragment":
                self.free = 0
            case "maintenance/alarm":
                # Of no member in particular it takes nothing back.
                self.alarm = self.alarm and body["memberID"] != MEMBER
            case "maintenance/status":
                return self._status()
        return {}

    def _status(self) -> Any:
        errors = [f"memberID:{MEMBER} alarm:NOSPACE "] if self.alarm else []
        return {
            "header": {"member_id": MEMBER, "revision": "42"},
            "version": "3.6.8",
            "dbSize": str(self.used),
            "dbSizeInUse": str(self.live + self.old),
            **({"dbSizeQuota": str(self.quota)} if self.tells_quota else {}),
            **({"errors": errors} if errors else {}),
        }

    def stream(self, request: Request) -> Any:
        raise AssertionError("nothing of it is followed")

    async def aclose(self) -> None:
        pass
