"""One KMS key as Kubernetes' KMS v2 plugin API has it, on a Unix socket.

kube-apiserver makes data keys itself and asks to encrypt one when it starts and when the key's id changes, to decrypt
one for each that it meets in etcd; so nothing here is kept but the key's id, which outlives the process in a file
beside the socket: without it a restart while KMS is away would stop all writing of Secrets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import structlog
from grpclib.const import Cardinality, Handler, Status
from grpclib.encoding.base import CodecBase
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

from keyless.api import KeylessError, Permanent
from keyless.api.sealed_by import TIMEOUT_SECONDS, KmsKey
from keyless.encryption import plan
from keyless.encryption.messages import (
    DecryptRequest,
    DecryptResponse,
    EncryptRequest,
    EncryptResponse,
    Malformed,
    Message,
    StatusRequest,
    StatusResponse,
    read_untrusted,
    to_bytes,
)

SERVICE = "/v2.KeyManagementService/"
STATUS_SECONDS = 4.0
"""How long KMS is waited for to say how a key is."""
MARGIN_SECONDS = 0.5
"""Of a caller's deadline, for the answer to arrive."""
_BY_CODE = {
    "AccessDenied": Status.PERMISSION_DENIED,
    "NotFound": Status.NOT_FOUND,
    "Disabled": Status.FAILED_PRECONDITION,
    "KMSInvalidState": Status.FAILED_PRECONDITION,
    "InvalidKeyUsage": Status.FAILED_PRECONDITION,
    "InvalidCiphertext": Status.INVALID_ARGUMENT,
    "IncorrectKey": Status.INVALID_ARGUMENT,
}
_log = structlog.get_logger("keyless.kms")
# It writes a traceback for each answer that is an error.
logging.getLogger("grpclib").setLevel(logging.CRITICAL)


class Asking(Protocol):
    """KMS."""

    async def call(self, operation: str, key_id: str, seconds: float, /, **params: Any) -> Mapping[str, Any]:
        """Ask about a key; raises ``Transient`` or ``Permanent`` with AWS's code."""
        ...


class Codec(CodecBase):
    """As Kubernetes' own callers speak."""

    __content_subtype__ = "proto"

    def encode(self, message: Any, message_type: Any) -> bytes:  # noqa: ARG002 - as grpclib calls it
        """A message's bytes."""
        return to_bytes(message)

    def decode(self, data: bytes, message_type: Any) -> Message:
        """What was sent; its words stay out of what is answered."""
        try:
            return read_untrusted(data, message_type)
        except Malformed as error:
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from None


class _Refused(Permanent):
    """KMS tells of a key that it would encrypt nothing with."""

    def __init__(self, code: str, operation: str) -> None:
        super().__init__(plan.told(code, operation))
        self.code = code


class Plugin:
    """What is known of one key, and its three answers. Implements what grpclib serves."""

    def __init__(
        self,
        key: KmsKey,
        kms: Asking,
        folder: Path,
        changed: Callable[[], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key = key
        self._kms, self._changed, self._now = kms, changed, now
        self._kept = folder / f"{key.name}.key-id"
        self.found = plan.Found(key_id=self._remembered())
        self._look = asyncio.Lock()

    def __mapping__(self) -> dict[str, Handler]:
        """By path, as grpclib asks for it."""
        unary = Cardinality.UNARY_UNARY
        return {
            f"{SERVICE}Status": Handler(self._served(self.status), unary, StatusRequest, StatusResponse),
            f"{SERVICE}Encrypt": Handler(self._served(self.encrypt), unary, EncryptRequest, EncryptResponse),
            f"{SERVICE}Decrypt": Handler(self._served(self.decrypt), unary, DecryptRequest, DecryptResponse),
        }

    async def status(self, _request: StatusRequest, seconds: float) -> StatusResponse:
        """Whether KMS would encrypt and decrypt, and the key's id, which is told also where it would not."""
        try:
            # Well before the caller's own deadline: unanswered questions would end its writing, bad news do not.
            async with asyncio.timeout(min(seconds, STATUS_SECONDS)):
                await self.look(STATUS_SECONDS)
        except TimeoutError:
            self.found = plan.failed(self.found, "RequestTimeout", "DescribeKey")
            self._changed()
        if not self.found.key_id:
            raise GRPCError(_status(self.found.code), self.found.trouble)
        return StatusResponse("v2", self.found.trouble, self.found.key_id)

    async def encrypt(self, request: EncryptRequest, seconds: float) -> EncryptResponse:
        """With the very key whose id was told: kube-apiserver takes no other."""
        if not request.plaintext or len(request.plaintext) > plan.PLAINTEXT_LIMIT:
            expected = f"expected plaintext of 1 to {plan.PLAINTEXT_LIMIT} bytes, found {len(request.plaintext)}"
            raise GRPCError(Status.INVALID_ARGUMENT, expected)
        if not self.found.key_id:
            await self.look(seconds)
        if not self.found.key_id:
            raise GRPCError(_status(self.found.code), self.found.trouble)
        key_id = self.found.key_id
        sealed = await self._seal(plan.arn_of(key_id), request.plaintext, seconds)
        if not sealed or len(sealed) >= plan.CIPHERTEXT_LIMIT:
            expected = f"expected a ciphertext of 1 to {plan.CIPHERTEXT_LIMIT - 1} bytes, found {len(sealed)}"
            raise GRPCError(Status.INTERNAL, f"Encrypt: {expected}")
        return EncryptResponse(sealed, key_id)

    async def decrypt(self, request: DecryptRequest, seconds: float) -> DecryptResponse:
        """With the key that the ciphertext's own id names: an alias may have moved since."""
        arn = plan.arn_of(request.key_id)
        if not arn or not request.ciphertext or len(request.ciphertext) > plan.CIPHERTEXT_LIMIT:
            expected = f"expected a KMS key's ARN as its id and a ciphertext of 1 to {plan.CIPHERTEXT_LIMIT} bytes"
            raise GRPCError(Status.INVALID_ARGUMENT, expected)
        return DecryptResponse(await self._open(arn, request.ciphertext, seconds))

    async def look(self, seconds: float) -> None:
        """Ask KMS how the key is, unless that is known; all of it within ``seconds``."""
        until = time.monotonic() + seconds
        async with self._look:
            before = self.found
            if plan.is_fresh(before, self._now()):
                return
            operation = "DescribeKey"
            try:
                described = await self._kms.call(operation, self.key.key_id, _left(until))
                key_id = plan.key_id_of(described)
                if code := plan.state_code(described):
                    # Known with each look, not with the next proof alone.
                    raise _Refused(code, "Encrypt")
                proves = key_id != before.key_id or plan.wants_proof(before, self._now())
                if proves:
                    # Not DescribeKey's word that it is enabled: a policy may refuse what the component is for.
                    operation = "Encrypt"
                    sealed = await self._ask(operation, plan.arn_of(key_id), _left(until), Plaintext=plan.CANARY)
                    operation = "Decrypt"
                    blob = bytes(sealed.get("CiphertextBlob") or b"")
                    opened = await self._ask(operation, plan.arn_of(key_id), _left(until), CiphertextBlob=blob)
                    if opened.get("Plaintext") != plan.CANARY:
                        raise Permanent("what was encrypted does not come back")
                if key_id != before.key_id:
                    self._remember(key_id)
                self.found = plan.seen(before, key_id, self._now(), proven=proves)
            except _Refused as refused:
                self.found = plan.failed(before, refused.code, "Encrypt")
            except KeylessError as error:
                code = str(getattr(error, "code", "") or _word(error))
                self.found = plan.failed(before, code, _refused_by(error, code, operation))
        if (before.trouble, before.key_id, before.proven_at) != (
            self.found.trouble,
            self.found.key_id,
            self.found.proven_at,
        ):
            self._changed()

    async def _seal(self, arn: str, plaintext: bytes, seconds: float) -> bytes:
        answer = await self._told("Encrypt", arn, seconds, Plaintext=plaintext)
        return bytes(answer.get("CiphertextBlob") or b"")

    async def _open(self, arn: str, blob: bytes, seconds: float) -> bytes:
        answer = await self._told("Decrypt", arn, seconds, CiphertextBlob=blob)
        return bytes(answer.get("Plaintext") or b"")

    async def _told(self, operation: str, arn: str, seconds: float, **params: Any) -> Mapping[str, Any]:
        try:
            return await self._ask(operation, arn, seconds, **params)
        except KeylessError as error:
            code = str(getattr(error, "code", ""))
            operation = _refused_by(error, code, operation)
            if _is_of_the_key(code) and arn == self.found.arn:
                # What one call met holds for all: with the next question it is looked at.
                self.found = plan.failed(self.found, code, operation)
                self._changed()
            # Without what raised it: that may carry what was asked.
            raise GRPCError(_status(code), plan.told(code, operation)) from None

    async def _ask(self, operation: str, arn: str, seconds: float, **params: Any) -> Mapping[str, Any]:
        return await self._kms.call(operation, arn, seconds, EncryptionContext=plan.context(self.key), **params)

    def _served(
        self, answer: Callable[[Any, float], Awaitable[Message]]
    ) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
        async def serve(stream: Stream[Any, Any]) -> None:
            request = await stream.recv_message()
            if request is None:
                raise GRPCError(Status.INVALID_ARGUMENT, "expected a message, found none")
            left = stream.deadline.time_remaining() if stream.deadline is not None else float(TIMEOUT_SECONDS)
            seconds = max(min(left, TIMEOUT_SECONDS) - MARGIN_SECONDS, MARGIN_SECONDS)
            await stream.send_message(await answer(request, seconds))

        return serve

    def _remembered(self) -> str:
        try:
            text = self._kept.read_text()
        except (OSError, UnicodeDecodeError):
            return ""
        return text if plan.arn_of(text) else ""

    def _remember(self, key_id: str) -> None:
        """It works without; only a restart while KMS is away would not."""
        partial = self._kept.with_suffix(".partial")
        try:
            partial.write_text(key_id)
            partial.rename(self._kept)
        except OSError as error:
            _log.warning("key id not kept", error=error.strerror)


class Sockets:
    """A socket for each key, as long as the key is named."""

    def __init__(self, folder: Path, kms: Asking, changed: Callable[[], None]) -> None:
        self._folder, self._kms, self._changed = folder, kms, changed
        self._served: dict[KmsKey, tuple[Plugin, Server]] = {}

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """Those that are served."""
        return tuple(plugin for plugin, _ in self._served.values())

    async def keep(self, keys: tuple[KmsKey, ...]) -> None:
        """Serve these, and no other ones."""
        for key in [each for each in self._served if each not in keys]:
            await self._end(key)
        for key in keys:
            if key not in self._served:
                self._served[key] = await self._begin(key)

    async def close(self) -> None:
        """End all."""
        for key in list(self._served):
            await self._end(key)

    async def _begin(self, key: KmsKey) -> tuple[Plugin, Server]:
        plugin = Plugin(key, self._kms, self._folder, self._changed)
        server = Server([plugin], codec=Codec())
        path = self._folder / f"{key.name}.sock"
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of a process before this one
        before = os.umask(0o177)
        try:
            await server.start(path=str(path))
        except OSError as error:
            raise Permanent(f"{path}: expected a socket of ours, found {error.strerror}") from None
        finally:
            os.umask(before)
        return plugin, server

    async def _end(self, key: KmsKey) -> None:
        _, server = self._served.pop(key)
        server.close()
        await server.wait_closed()


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.1)


def _status(code: str) -> Status:
    return _BY_CODE.get(plan.bare(code), Status.UNAVAILABLE)


def _is_of_the_key(code: str) -> bool:
    """A ciphertext of another context, or of none, says nothing about it."""
    return _status(code) is not Status.INVALID_ARGUMENT


def _refused_by(error: KeylessError, code: str, operation: str) -> str:
    """The call that failed: where a pod gets no credentials it is STS's or the agent's, and KMS was never asked."""
    asked = str(getattr(error, "operation", operation))
    if asked not in plan.CALLS:
        return asked
    answered = bool(getattr(error, "answered", True))
    return operation if answered or plan.bare(code) != "AccessDenied" else plan.CREDENTIALS


def _word(error: KeylessError) -> str:
    """Of a refusal of our own, which begins with its word."""
    return str(error).partition(":")[0] if ":" in str(error) else "Unknown"
