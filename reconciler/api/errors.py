"""Refusals with rich details (google.rpc): what is wrong in which field, or which known reason it has."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2, message
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "prodsprint"
"""Domain of every ErrorInfo."""


class RefusedError(Exception):
    """A call that ends with a status other than OK. ``details`` are google.rpc messages."""

    def __init__(self, code: grpc.StatusCode, text: str, *details: message.Message) -> None:
        super().__init__(text)
        self.code = code
        self.details = details

    def status(self) -> status_pb2.Status:
        """The status as it travels in the trailer ``grpc-status-details-bin``."""
        packed = []
        for detail in self.details:
            box = any_pb2.Any()
            box.Pack(detail)
            packed.append(box)
        return status_pb2.Status(code=self.code.value[0], message=str(self), details=packed)


def bad_field(field: str, description: str) -> RefusedError:
    """INVALID_ARGUMENT with one violation."""
    violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
    detail = error_details_pb2.BadRequest(field_violations=[violation])
    return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"{field}: {description}", detail)


def refused(code: grpc.StatusCode, reason: str, text: str, **metadata: str) -> RefusedError:
    """Any code, with an ErrorInfo: ``reason`` in UPPER_SNAKE_CASE."""
    detail = error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)
    return RefusedError(code, text, detail)


def not_found(kind: str, name: str) -> RefusedError:
    """NOT_FOUND with the thing that is not there."""
    detail = error_details_pb2.ResourceInfo(resource_type=kind, resource_name=name)
    return RefusedError(grpc.StatusCode.NOT_FOUND, f"there is no {kind} {name}", detail)
