"""Stands before every call: asks for the token, and turns errors into statuses that leak nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from reconciler.api.auth import Authenticator
from reconciler.api.errors import RefusedError, refused
from reconciler.core.outcome import TerminalError, TransientError

log = logging.getLogger(__name__)

OWN = "/prodsprint.v1."
OPEN = frozenset({"/grpc.health.v1.Health/Check"})
"""What may be called without a token: probes have none."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Details = grpc.HandlerCallDetails
Count = Callable[[str, str], None]
"""Told of every call of our own services: method and status code."""


class Guard(grpc.aio.ServerInterceptor):
    """The one interceptor of the server."""

    def __init__(self, authenticator: Authenticator, count: Count) -> None:
        self._authenticator = authenticator
        self._count = count

    async def intercept_service(
        self, continuation: Callable[[Details], Awaitable[Handler | None]], handler_call_details: Details
    ) -> Handler | None:
        """Give the handler that the call gets: the real one only with the token."""
        method = handler_call_details.method
        metadata = handler_call_details.invocation_metadata or ()
        if method not in OPEN and not self._authenticator.admits(metadata):
            return grpc.stream_stream_rpc_method_handler(_deny)
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith(OWN):
            return handler
        return self._guarded(method.removeprefix(OWN), handler)

    def _guarded(self, method: str, handler: Handler) -> Handler:
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._stream(method, handler.unary_stream), **codec)
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(method, handler.unary_unary), **codec)
        raise TypeError(f"{method}: no call of prodsprint.v1 takes a stream")

    def _unary(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            try:
                answer = await behaviour(request, context)
            except BaseException as error:
                await self._end(method, error, context)
                raise
            self._count(method, "OK")
            return answer

        return call

    def _stream(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            try:
                async with aclosing(behaviour(request, context)) as answers:
                    async for answer in answers:
                        yield answer
            except BaseException as error:
                await self._end(method, error, context)
                raise
            self._count(method, "OK")

        return call

    async def _end(self, method: str, error: BaseException, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
            self._count(method, "CANCELLED")
            return
        answer = _refusal(method, error)
        self._count(method, answer.code.name)
        await _abort(context, answer)


def _refusal(method: str, error: BaseException) -> RefusedError:
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, TransientError):
        retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1))
        return RefusedError(grpc.StatusCode.UNAVAILABLE, str(error), retry)
    if isinstance(error, TerminalError):
        return refused(grpc.StatusCode.FAILED_PRECONDITION, "NEEDS_A_PERSON", str(error))
    log.error("%s failed", method, exc_info=error)
    return refused(grpc.StatusCode.INTERNAL, "INTERNAL", "internal error; the daemon's log says more")


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: RefusedError) -> None:
    rich = rpc_status.to_status(error.status())
    await context.abort(rich.code, rich.details, rich.trailing_metadata)


async def _deny(_: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[bytes]:
    """Refuse without reading what the caller sends, whatever kind of call it is."""
    text = "send the metadata `authorization: Bearer TOKEN`, with the token from the daemon's token file"
    await _abort(context, refused(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REQUIRED", text))
    yield b""
