"""What Envoy is told, and how that is read back from it. Pure: values in, values out.

An environment is a listener with two routes and two clusters, ``KEY/stable`` and ``KEY/canary``. The first route takes the
share that the runtime value named KEY says, the second takes the rest. Requests are counted per route, since the
statistics of a cluster start again at 0 when its endpoints change.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.core.desired import FULL_WEIGHT, Key
from reconciler.core.observed import Backend
from reconciler.core.outcome import TerminalError

ROLES = ("stable", "canary")
ENDLESS_MS = 86_400_000
"""Upper edge of the last bucket: a day stands for +Inf, which the JSON form of the statistics leaves out."""
EDGES_MS = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700),
    *(1000, 1500, 2000, 3000, 5000, 10_000, 30_000, ENDLESS_MS),
)
"""Envoy measures whole milliseconds and keeps two significant digits: at these edges its counts are exact."""
ROUTE_TIMEOUT = "15s"
UPSTREAM_IDLE = "1s"
"""Shorter than the keep-alive of common servers, so that no request meets a connection that its server is closing."""
UNBOUNDED = 1_000_000
NOBODY = "192.0.2.1"
"""An address for documentation only (RFC 5737): no client has it."""
_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
Json = dict[str, Any]

_TYPE = "type.googleapis.com/envoy."
_HTTP_MANAGER = f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_HTTP_UPSTREAM = f"{_TYPE}extensions.upstreams.http.v3.HttpProtocolOptions"
_PREVIOUS_HOSTS = f"{_TYPE}extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
_KEPT_STATISTICS = (
    r"vhost\..*\.route\..*",
    r"cluster\..*\.upstream_(rq_active|cx_active|cx_connect_fail|cx_none_healthy|cx_destroy_remote_with_active_rq)",
    r"(server|listener_manager|cluster_manager|runtime)\..*",
)


@dataclass(frozen=True, slots=True)
class XdsFile:
    """A file that Envoy watches, and the type of what is in it."""

    name: str
    type: str


CLUSTERS = XdsFile("clusters.json", f"{_TYPE}config.cluster.v3.Cluster")
LISTENERS = XdsFile("listeners.json", f"{_TYPE}config.listener.v3.Listener")
WEIGHTS = XdsFile("weights.json", f"{_TYPE}service.runtime.v3.Runtime")
"""Holds one resource: the shares of all environments."""


def bootstrap(xds: Path, admin: Path) -> Json:
    """The configuration that Envoy starts with; everything else is in files below ``xds``.

    Three watched files in all: Envoy takes one inotify instance each and aborts without, and a user has 128 by default.
    """

    def watched(file: XdsFile) -> Json:
        return {"path_config_source": {"path": str(xds / file.name)}, "resource_api_version": "V3"}

    return {
        "node": {"id": "prodsprint", "cluster": "prodsprint"},
        "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
        "dynamic_resources": {"lds_config": watched(LISTENERS), "cds_config": watched(CLUSTERS)},
        "layered_runtime": {
            "layers": [{"name": "weights", "rtds_layer": {"name": "weights", "rtds_config": watched(WEIGHTS)}}]
        },
        "stats_flush_interval": "1s",
        "stats_config": {
            "histogram_bucket_settings": [{"match": {"suffix": "upstream_rq_time"}, "buckets": list(EDGES_MS)}],
            "stats_matcher": {
                "inclusion_list": {"patterns": [{"safe_regex": {"regex": one}} for one in _KEPT_STATISTICS]}
            },
        },
    }


def cluster(key: Key, role: str, backend: Backend | None) -> Json:
    """One side of the split; without endpoints it answers 503 at once. Raises TerminalError for a bad endpoint."""
    endpoints = [{"endpoint": {"address": _address(one)}} for one in backend.endpoints] if backend else []
    name = key.side(role)
    return {
        "@type": CLUSTERS.type,
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "metadata": {"filter_metadata": {"prodsprint": {"digest": backend.digest} if backend else {}}},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
        "circuit_breakers": {
            "thresholds": [
                {f"max_{what}": UNBOUNDED for what in ("connections", "pending_requests", "requests", "retries")}
            ]
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _HTTP_UPSTREAM,
                "common_http_protocol_options": {"idle_timeout": UPSTREAM_IDLE},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _address(endpoint: str) -> Json:
    host, _, port = endpoint.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        return {"socket_address": {"address": str(address), "port_value": int(port)}}
    except ValueError:
        raise TerminalError(f"endpoint {endpoint!r} is not an IP address and a port") from None


def listener(key: Key, address: str, port: int) -> Json:
    """Where the environment is served: accept, choose a side, pass on."""
    manager = {
        "@type": _HTTP_MANAGER,
        "stat_prefix": str(key),
        # No client is trusted to steer Envoy by x-envoy headers (retries that hide failures, other timeouts).
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [{"address_prefix": NOBODY, "prefix_len": 32}]},
        "server_header_transformation": "PASS_THROUGH",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": f"{_TYPE}extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": True,
                },
            }
        ],
        "route_config": {
            "name": str(key),
            "validate_clusters": False,
            "virtual_hosts": [
                {"name": str(key), "domains": ["*"], "routes": [_route(key, "canary"), _route(key, "stable")]}
            ],
        },
    }
    return {
        "@type": LISTENERS.type,
        "name": str(key),
        "address": {"socket_address": {"address": address, "port_value": port}},
        # Otherwise two Envoys of one user could share a port, each with half of the requests.
        "enable_reuse_port": False,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _route(key: Key, role: str) -> Json:
    match: Json = {"prefix": "/"}
    if role == "canary":
        none = {"numerator": 0, "denominator": "TEN_THOUSAND"}
        match["runtime_fraction"] = {"default_value": none, "runtime_key": str(key)}
    return {
        "match": match,
        "stat_prefix": key.side(role),
        "route": {
            "cluster": key.side(role),
            "timeout": ROUTE_TIMEOUT,
            "retry_policy": {
                # Only what cannot have reached the service: a retry never repeats work, and never hides a failure.
                "retry_on": "connect-failure,refused-stream,reset-before-request",
                "num_retries": 2,
                "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"},
                "retry_host_predicate": [
                    {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": _PREVIOUS_HOSTS}}
                ],
                "host_selection_retry_max_attempts": 5,
            },
        },
    }


def weight_value(weight: int) -> Json:
    """The runtime value for a canary share in hundredths of a percent."""
    return {"numerator": weight, "denominator": "TEN_THOUSAND"}


def read_weight(value: str) -> int:
    """The canary share that a runtime value stands for, as Envoy prints it: a fraction as protobuf text, or percent.

    Raises ValueError for anything else.
    """
    if value.isdigit():
        return min(FULL_WEIGHT, int(value) * 100)
    numerator = re.search(r'"numerator"\s+value\s*{\s*number_value:\s*([\d.e+]+)', value)
    denominator = re.search(r'"denominator"\s+value\s*{\s*string_value:\s*"(\w+)"', value)
    parts = _DENOMINATORS.get(denominator[1] if denominator else "HUNDRED")
    if numerator is None or parts is None:
        raise ValueError(f"not a share of the requests: {value!r}")
    return min(FULL_WEIGHT, int(float(numerator[1]) * FULL_WEIGHT / parts))


def read_backend(found: Json) -> Backend | None:
    """The side that a cluster stands for; None when nothing was ever put there."""
    digest = found.get("metadata", {}).get("filter_metadata", {}).get("prodsprint", {}).get("digest")
    groups = found.get("load_assignment", {}).get("endpoints", [])
    sockets = [
        one["endpoint"]["address"]["socket_address"] for group in groups for one in group.get("lb_endpoints", [])
    ]
    endpoints = tuple(_endpoint(one["address"], one["port_value"]) for one in sockets)
    return None if digest is None and not endpoints else Backend(digest or "", endpoints)


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def read_port(found: Json) -> int:
    """The port that a listener serves."""
    return int(found["address"]["socket_address"]["port_value"])
