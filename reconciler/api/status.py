# ruff: noqa: N802, ARG002 - names and arguments of calls are the protocol's
"""StatusService: everything that can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from prodsprint import v1

from reconciler.api import convert
from reconciler.api.application import Application, EnvironmentView
from reconciler.api.errors import bad_field, not_found
from reconciler.api.feed import Feed, Interest
from reconciler.api.names import filter_of, key_of
from reconciler.api.offload import Offload
from reconciler.api.paging import after_number, after_token, fill, page_size
from reconciler.core.desired import Key
from reconciler.core.digest import canonical
from reconciler.core.view import summary


class Queries:
    """The answers, one blocking method a call. Each raises RefusedError for what is wrong with the request."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def projects(self, request: v1.ListProjectsRequest) -> v1.ListProjectsResponse:
        """Projects by workspace and name."""
        size, workspace = page_size(request.page_size), filter_of(request.workspace, "workspace")
        after = after_token(request.page_token, "projects", workspace)
        keys: dict[str, list[str]] = {}
        for text, key in self._keys(workspace, ""):
            keys.setdefault(f"{key.workspace}/{key.project}", []).append(text)
        rest = sorted(name for name in keys if name > after)

        def project(name: str) -> v1.Project:
            owner, _, own = name.partition("/")
            return v1.Project(workspace=owner, name=own, keys=keys[name])

        page, token = fill(rest, size, project, str, "projects", workspace)
        return v1.ListProjectsResponse(projects=page, next_page_token=token)

    def environments(self, request: v1.ListEnvironmentsRequest) -> v1.ListEnvironmentsResponse:
        """Environments by key."""
        size = page_size(request.page_size)
        workspace, project = filter_of(request.workspace, "workspace"), filter_of(request.project, "project")
        filters = ("environments", workspace, project)
        after = after_token(request.page_token, *filters)
        keys = self._keys(workspace, project)
        # Views are made for the keys of this page alone.
        rest = (view for text, key in keys if text > after and (view := self._app.environment(key)) is not None)
        page, token = fill(rest, size, convert.environment, lambda view: str(view.key), *filters)
        problems = () if after else self._app.problems()
        return v1.ListEnvironmentsResponse(environments=page, next_page_token=token, problems=problems)

    def _keys(self, workspace: str, project: str) -> list[tuple[str, Key]]:
        keys = self._app.listed()
        return sorted((str(x), x) for x in keys if workspace in {"", x.workspace} and project in {"", x.project})

    def _view(self, text: str) -> EnvironmentView:
        view = self._app.environment(key_of(text))
        if view is None:
            raise not_found("environment", text)
        return view

    def environment(self, request: v1.GetEnvironmentRequest) -> v1.GetEnvironmentResponse:
        """One environment."""
        return v1.GetEnvironmentResponse(environment=convert.environment(self._view(request.key)))

    def releases(self, request: v1.ListReleasesRequest) -> v1.ListReleasesResponse:
        """Releases: in progress, serving, certified, quarantined, desired."""
        size, after = page_size(request.page_size), after_token(request.page_token, "releases", request.key)
        found = convert.releases(self._view(request.key))
        digests = [one.digest for one in found]
        if after and after not in digests:
            raise bad_field("page_token", "the list has changed since; begin again")
        rest = found[digests.index(after) + 1 :] if after else found
        page, token = fill(rest, size, lambda one: one, lambda one: one.digest, "releases", request.key)
        return v1.ListReleasesResponse(releases=page, next_page_token=token)

    def attempts(self, request: v1.ListAttemptsRequest) -> v1.ListAttemptsResponse:
        """Finished attempts, newest first."""
        size, after = page_size(request.page_size), after_number(request.page_token, "attempts", request.key)
        history = self._view(request.key).state.history
        rest = [one for one in history if not after or one.attempt < after]
        page, token = fill(rest, size, convert.attempt, lambda one: str(one.attempt), "attempts", request.key)
        return v1.ListAttemptsResponse(attempts=page, next_page_token=token)

    def plan(self, request: v1.GetPlanRequest) -> v1.GetPlanResponse:
        """A plan by generation, or the current one."""
        if request.generation < 0:
            raise bad_field("generation", "expected 0 (the current one) or more")
        view = self._view(request.key)
        found = view.state.plan
        if request.generation and (found is None or found.generation != request.generation):
            found = self._app.store.plan(view.key, request.generation)
        if found is None:
            raise not_found("plan", f"{request.generation or '(current)'} of {request.key}")
        return v1.GetPlanResponse(plan=convert.plan(found))

    def why(self, request: v1.WhyRequest) -> v1.WhyResponse:
        """What the key waits for."""
        view = self._view(request.key)
        return v1.WhyResponse(
            summary=summary(view),
            waiting=[convert.waiting(one) for one in view.waiting],
            analysis=convert.analysis(view.analysis),
            environment=convert.environment(view),
        )

    def state(self, request: v1.GetStateRequest) -> v1.GetStateResponse:
        """What the daemon decides on, as canonical JSON."""
        view = self._view(request.key)
        observed = canonical(view.observed) if view.observed else ""
        return v1.GetStateResponse(state=canonical(view.state), observed=observed)

    def events(self, request: v1.ListEventsRequest) -> v1.ListEventsResponse:
        """Audit entries, oldest first."""
        size, interest = page_size(request.page_size), interest_of(request.workspace, request.key)
        filters = ("events", interest.workspace, interest.key)
        if request.after < 0:
            raise bad_field("after", "expected 0 or more")
        after = max(request.after, after_number(request.page_token, *filters))
        found = self._app.store.events(after, size + 1, interest.workspace, interest.key)
        page, token = fill(found, size, convert.event, lambda one: str(one.id), *filters)
        return v1.ListEventsResponse(events=page, next_page_token=token)

    def audit(self, _: v1.VerifyAuditRequest) -> v1.VerifyAuditResponse:
        """Every chain, recomputed."""
        return v1.VerifyAuditResponse(chains=[convert.chain(one) for one in self._app.store.verify()])


def interest_of(workspace: str, key: str) -> Interest:
    """The filter of a watch or a list of events. Raises RefusedError for what no name or key can be."""
    return Interest(filter_of(workspace, "workspace"), str(key_of(key)) if key else "")


class StatusService(v1.StatusServiceServicer):
    """Hands each call to its query, on a thread that may block."""

    def __init__(self, app: Application, offload: Offload, feed: Feed) -> None:
        self._queries = Queries(app)
        self._offload = offload
        self._feed = feed
        self._verifying = asyncio.Lock()

    async def ListProjects(self, request: v1.ListProjectsRequest, context: Any) -> v1.ListProjectsResponse:
        """See the protocol."""
        return await self._offload(self._queries.projects, request)

    async def ListEnvironments(self, request: v1.ListEnvironmentsRequest, context: Any) -> v1.ListEnvironmentsResponse:
        """See the protocol."""
        return await self._offload(self._queries.environments, request)

    async def GetEnvironment(self, request: v1.GetEnvironmentRequest, context: Any) -> v1.GetEnvironmentResponse:
        """See the protocol."""
        return await self._offload(self._queries.environment, request)

    async def ListReleases(self, request: v1.ListReleasesRequest, context: Any) -> v1.ListReleasesResponse:
        """See the protocol."""
        return await self._offload(self._queries.releases, request)

    async def ListAttempts(self, request: v1.ListAttemptsRequest, context: Any) -> v1.ListAttemptsResponse:
        """See the protocol."""
        return await self._offload(self._queries.attempts, request)

    async def GetPlan(self, request: v1.GetPlanRequest, context: Any) -> v1.GetPlanResponse:
        """See the protocol."""
        return await self._offload(self._queries.plan, request)

    async def Why(self, request: v1.WhyRequest, context: Any) -> v1.WhyResponse:
        """See the protocol."""
        return await self._offload(self._queries.why, request)

    async def GetState(self, request: v1.GetStateRequest, context: Any) -> v1.GetStateResponse:
        """See the protocol."""
        return await self._offload(self._queries.state, request)

    async def ListEvents(self, request: v1.ListEventsRequest, context: Any) -> v1.ListEventsResponse:
        """See the protocol."""
        return await self._offload(self._queries.events, request)

    async def VerifyAudit(self, request: v1.VerifyAuditRequest, context: Any) -> v1.VerifyAuditResponse:
        """See the protocol. One at a time: it reads everything there is."""
        async with self._verifying:
            return await self._offload(self._queries.audit, request)

    async def Watch(self, request: v1.WatchRequest, context: Any) -> AsyncIterator[v1.WatchResponse]:
        """See the protocol."""
        cursor = request.cursor if request.HasField("cursor") else None
        if cursor is not None and cursor < 0:
            raise bad_field("cursor", "expected 0 or more")
        async with aclosing(self._feed.follow(cursor, interest_of(request.workspace, request.key))) as steps:
            async for reached, entry in steps:
                yield v1.WatchResponse(cursor=reached, event=convert.event(entry) if entry else None)
