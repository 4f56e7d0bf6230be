"""What one daemon is told on its command line. The only place that knows its defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LOOPBACK = "127.0.0.1"


def default_data_dir() -> Path:
    """``$PRODSPRINT_DATA_DIR``, else ``prodsprint`` in the user's state directory."""
    named = os.environ.get("PRODSPRINT_DATA_DIR")
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "prodsprint"


class Settings(BaseModel):
    """Settings of ``prodsprint run``. Addresses are ``host:port``; port 0 takes a free one. Durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config_repo: str = Field(default="", description="URL or path of the config repo; this or --config-repos")
    config_repos: Path | None = Field(
        default=None, description="YAML file that names several config repos, and how far to trust each"
    )
    branch: str = Field(default="", description="branch of the config repo (default: the one its HEAD names)")
    data_dir: Path = Field(
        default_factory=default_data_dir,
        description="where everything is kept (default: $PRODSPRINT_DATA_DIR, else the state directory of the user)",
    )
    grpc: str = Field(default=f"{LOOPBACK}:7443", description="address of the gRPC API")
    http: str = Field(default=f"{LOOPBACK}:7480", description="address of /metrics, /healthz and /readyz")
    webhooks: str = Field(default="", description="address that takes the webhooks of forges (default: none)")
    listen: str = Field(default=LOOPBACK, description="IP address on which environments are served; 0.0.0.0 for all")
    tls_cert: Path | None = Field(default=None, description="certificate (PEM) for gRPC; needed off loopback")
    tls_key: Path | None = Field(default=None, description="private key (PEM) for gRPC; needed off loopback")
    poll: float = Field(default=10.0, ge=0.1, description="time between two polls of the config repo")
    source_poll: float = Field(default=30.0, ge=0.1, description="time between two polls of service repos")
    workers: int = Field(default=4, ge=1, le=64, description="keys that are worked on at the same time")
    credentials: Path | None = Field(default=None, description="YAML file that says what opens which repos")
    webhook: str = Field(default="", description="URL that events are posted to")
    webhook_secret: Path | None = Field(default=None, description="file with the key that signs them")
    prometheus: str = Field(default="", description="URL of a Prometheus, for `analysis.source: prometheus`")
    log_format: Literal["auto", "plain", "json"] = Field(
        default="auto", description="auto: plain on a terminal, else json"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least severe level logged"
    )

    @model_validator(mode="after")
    def _one_way_to_name_config_repos(self) -> Settings:
        if bool(self.config_repo) == (self.config_repos is not None):
            raise ValueError("name the config repo with --config-repo, or several with --config-repos FILE")
        if self.branch and self.config_repos is not None:
            raise ValueError("--branch belongs to --config-repo; in the file of --config-repos each repo has its own")
        return self
