"""Times, durations and URLs as they leave the daemon."""

from __future__ import annotations

import re
from decimal import Decimal
from urllib.parse import urlsplit

from google.protobuf import duration_pb2, timestamp_pb2


def timestamp(seconds: float | None) -> timestamp_pb2.Timestamp | None:
    """Unix seconds, to the microsecond."""
    if seconds is None:
        return None
    micros = int(Decimal(seconds).scaleb(6).to_integral_value())
    return timestamp_pb2.Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def duration(seconds: float | None) -> duration_pb2.Duration | None:
    """Seconds, to the microsecond."""
    if seconds is None:
        return None
    micros = int(Decimal(seconds).scaleb(6).to_integral_value())
    return duration_pb2.Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def repository(url: str) -> str:
    """A repo's URL without user, password, query and fragment."""
    if "://" not in url:
        return re.sub(r"^[^/@]*@", "", url)
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
