"""A KMS that is the local cloud's, or that fails as told, and a caller of the plugin over its real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore
from grpclib.client import Channel, UnaryUnaryMethod

from keyless.api import KeylessError
from keyless.api.sealed_by import KmsKey
from keyless.aws import failure
from keyless.encryption.messages import (
    DecryptRequest,
    DecryptResponse,
    EncryptRequest,
    EncryptResponse,
    StatusRequest,
    StatusResponse,
)
from keyless.encryption.plugin import SERVICE, Codec
from unit.local.cloud.support import World

PLANE = "706c49fa-5bb8-4a7e-9f41-2fc38ef4b065"
SEED = b"\x17" * 32


class CloudKms:
    """Implements ``Asking``; ``fails`` says by operation what is raised instead."""

    def __init__(self, world: World, keys: Any = None) -> None:
        self.world, self.keys = world, keys
        self.asked: list[str] = []
        self.fails: dict[str, KeylessError] = {}

    async def call(self, operation: str, key_id: str, seconds: float, /, **params: Any) -> Mapping[str, Any]:
        self.asked.append(operation)
        assert seconds > 0
        if operation in self.fails:
            raise self.fails[operation]
        return await asyncio.to_thread(self._call, operation, {"KeyId": key_id, **params})

    def _call(self, operation: str, params: dict[str, Any]) -> Mapping[str, Any]:
        client = self.world.aws("kms", *([self.keys] if self.keys else []))
        try:
            return getattr(client, botocore.xform_name(operation))(**params)
        except client.exceptions.ClientError as error:
            raise failure(operation, error) from error


class Caller:
    """Calls as kube-apiserver does."""

    def __init__(self, folder: Path, key: KmsKey) -> None:
        self._channel = Channel(path=str(folder / f"{key.name}.sock"), codec=Codec())

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._channel.close()

    async def status(self, *, timeout: float = 10) -> StatusResponse:
        return await self._call("Status", StatusRequest(), StatusResponse, timeout)

    async def encrypt(self, plaintext: bytes, *, timeout: float = 10) -> EncryptResponse:
        return await self._call("Encrypt", EncryptRequest(plaintext, "uid"), EncryptResponse, timeout)

    async def decrypt(self, sealed: EncryptResponse, *, timeout: float = 10) -> bytes:
        request = DecryptRequest(sealed.ciphertext, "uid", sealed.key_id)
        return (await self._call("Decrypt", request, DecryptResponse, timeout)).plaintext

    async def _call(self, name: str, request: Any, answer: Any, timeout: float) -> Any:
        method = UnaryUnaryMethod(self._channel, f"{SERVICE}{name}", type(request), answer)
        return await method(request, timeout=timeout)
