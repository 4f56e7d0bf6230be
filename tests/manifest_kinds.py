"""A rich, valid document of every kind, as Python values."""

from __future__ import annotations

from typing import Any

HEAD = {"apiVersion": "prodsprint/v1"}
PROJECT: dict[str, Any] = {
    **HEAD,
    "kind": "Project",
    "name": "shop",
    "workspace": "payments",
    "source": "https://example.com/shop.git",
    "version": "v1.2.3",
    "owners": ["ada@example.com", "group:payments"],
    "dependsOn": ["ledger", {"project": "mail", "workspace": "core", "environment": "prod"}],
    "onDelete": "destroy",
    "instances": 2,
    "router": "envoy",
    "target": "process",
    "release": {"holdDeadline": "12h"},
    "analysis": {"source": "prometheus", "noDataAfter": "2m"},
    "process": {
        "command": "python3 'app.py' --port $PORT",
        "build": ["make", "all"],
        "env": {"LOG_LEVEL": "info"},
        "buildEnv": {"CI": "1"},
        "health": "/ready",
        "healthInterval": "500ms",
        "healthFailures": 3,
        "startDeadline": 90,
    },
    "environments": [
        {"name": "dev", "port": 8000, "after": "none", "onDelete": "keep"},
        {"name": "staging", "port": 8080, "after": "dev", "process": {"env": {"LOG_LEVEL": "debug"}}},
        {
            "name": "prod",
            "port": 8081,
            "version": "v1.2.2",
            "instances": 3,
            "after": ["dev", "staging"],
            "release": {
                "strategy": "canary",
                "steps": ["1%", {"weight": "5 %", "bake": "10m", "requests": 100}, "25%", "100%"],
                "bake": "5m",
                "maxBake": "1h30m",
                "progressDeadline": "10m",
                "drain": "1.5s",
            },
            "analysis": {
                "interval": "15s",
                "errorBudget": "0.5%",
                "tolerance": 1.25,
                "passRatio": 2,
                "falsePass": "5%",
            },
        },
    ],
}
COMPONENTS: dict[str, Any] = {
    **HEAD,
    "kind": "Project",
    "name": "suite",
    "source": "git@example.com:acme/suite.git",
    "components": [
        {"name": "web", "version": "v1", "instances": 2, "process": {"command": "./web"}},
        {
            "name": "worker",
            "version": "v2",
            "source": "ssh://git@example.com/worker",
            "process": {"command": ["./worker"]},
        },
    ],
    "environments": [
        {"name": "staging", "ports": {"web": 8080, "worker": 8081}},
        {"name": "prod", "ports": {"web": 8090, "worker": 8091}, "versions": {"web": "v0.9"}},
    ],
}
WORKSPACE: dict[str, Any] = {
    **HEAD,
    "kind": "Workspace",
    "name": "payments",
    "owners": ["group:payments"],
    "defaults": {
        "instances": 2,
        "router": "envoy",
        "target": "process",
        "onDelete": "keep",
        "release": {"bake": "10m", "maxBake": "2h"},
        "analysis": {"errorBudget": "0.1%"},
        "process": {"stopDeadline": "20s", "env": {"REGION": "eu"}},
    },
    "quotas": {"projects": 20, "environments": 60, "instances": 200, "memory": "64GiB", "cost": "1200.50 USD/month"},
    "allow": {
        "targets": ["process"],
        "sources": ["https://example.com/payments/", "git@example.com:"],
        "clusters": ["eu-*"],
        "paths": ["teams/payments/**", "*.prodsprint.yaml"],
    },
    "notifications": [{"events": ["rollout.held", "rollback.*"], "to": "log"}, {"events": ["*"], "to": "webhook"}],
}
TARGET: dict[str, Any] = {
    **HEAD,
    "kind": "Target",
    "name": "small-vm",
    "workspace": "platform",
    "type": "process",
    "sharedWith": ["payments", "core"],
    "process": {"startDeadline": "2m", "env": {"TZ": "UTC"}},
}
SHARED_TARGET: dict[str, Any] = {**HEAD, "kind": "Target", "name": "vm", "type": "process", "sharedWith": "all"}
WAIVER: dict[str, Any] = {
    **HEAD,
    "kind": "Waiver",
    "name": "openssl",
    "workspace": "payments",
    "scope": {"project": "shop", "environment": "prod", "release": "0123456789ab"},
    "gates": ["vulnerabilities", "CVE-2026-1234", "pkg:pypi/jinja2@3.1"],
    "reason": "Not reachable: the parser is not used.",
    "ticket": "SEC-42",
    "requestedBy": "ada@example.com",
    "expires": "2026-12-24T18:00:00+01:00",
}
APPROVAL: dict[str, Any] = {
    **HEAD,
    "kind": "Approval",
    "name": "shop-prod",
    "release": "0123456789abcdef",
    "project": "shop",
    "environment": "prod",
    "reason": "Load test looked at.",
    "approver": "bob@example.com",
    "expires": "2026-12-01",
}
REMOVAL: dict[str, Any] = {
    **HEAD,
    "kind": "Approval",
    "name": "gone",
    "removal": "ab" * 32,
    "reason": "Team is closed.",
}
FREEZE: dict[str, Any] = {
    **HEAD,
    "kind": "Freeze",
    "name": "weekends",
    "scope": {"projects": ["shop"], "environments": ["prod"]},
    "cron": "0 18 * * fri",
    "duration": "2d12h",
    "timeZone": "Europe/Paris",
    "bypass": ["release-captain"],
    "inFlight": "finish",
    "reason": "Nobody is there.",
}
HOLIDAYS: dict[str, Any] = {
    **HEAD,
    "kind": "Freeze",
    "name": "holidays",
    "from": "2026-12-24T18:00",
    "until": "2027-01-02T06:00",
    "timeZone": "Europe/Paris",
    "reason": "Holidays.",
}
MONTHLY: dict[str, Any] = {
    **HEAD,
    "kind": "Freeze",
    "name": "closing",
    "rrule": "FREQ=MONTHLY;BYDAY=-1FR",
    "start": "2026-01-30T12:00:00Z",
    "duration": "6h",
    "reason": "The books are closed.",
}
PACK: dict[str, Any] = {
    **HEAD,
    "kind": "PolicyPack",
    "name": "baseline",
    "version": "1.4.0",
    "description": "What every service has to keep.",
    "parameters": {"leastCoverage": 80.0, "licences": ["MIT", "Apache-2.0"]},
    "rules": [
        {
            "id": "coverage",
            "severity": "block",
            "expression": "facts.coverage >= parameters.leastCoverage",
            "message": "Too few lines are covered.",
            "remediation": "Write tests.",
        },
        {"id": "readme", "severity": "warn", "expression": "has(facts.readme)", "message": "There is no README."},
    ],
    "cases": [
        {"name": "nothing covered", "facts": {"coverage": 0.0, "list": [1, {"a": True}]}, "denied": ["coverage"]},
        {"name": "strict", "facts": {"coverage": 85}, "parameters": {"leastCoverage": 90}, "warned": ["readme"]},
    ],
}
SAMPLES: dict[str, dict[str, Any]] = {
    name.lower(): sample
    for name, sample in globals().copy().items()
    if isinstance(sample, dict) and isinstance(sample.get("kind"), str)
}
"""Every one of them by its name here."""
