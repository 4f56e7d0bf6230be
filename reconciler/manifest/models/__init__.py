"""The manifest language: what each kind of document may hold, with defaults and meanings.

A target's own block (``process:``) is not here: the target kind models it (``ports.TargetKind.spec``).
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.manifest.models.decisions import Approval, Freeze, Waiver
from reconciler.manifest.models.header import API_VERSION, DEFAULT_WORKSPACE, Header
from reconciler.manifest.models.policy import PolicyPack
from reconciler.manifest.models.project import Component, Dependency, Environment, Layer, Project
from reconciler.manifest.models.release import DEFAULT_STEPS, AnalysisBlock, ReleaseBlock, StepBlock
from reconciler.manifest.models.tenancy import ALL, Target, Workspace

__all__ = [
    "ALL",
    "API_VERSION",
    "DEFAULT_STEPS",
    "DEFAULT_WORKSPACE",
    "KINDS",
    "AnalysisBlock",
    "Approval",
    "Component",
    "Dependency",
    "Environment",
    "Freeze",
    "Header",
    "Layer",
    "PolicyPack",
    "Project",
    "ReleaseBlock",
    "StepBlock",
    "Target",
    "Waiver",
    "Workspace",
]

KINDS: Mapping[str, type[Header]] = {
    "Project": Project,
    "Workspace": Workspace,
    "Target": Target,
    "Waiver": Waiver,
    "Approval": Approval,
    "Freeze": Freeze,
    "PolicyPack": PolicyPack,
}
"""Every kind of document by its name."""
