"""Where requests go: endpoints, splits in force, and the canary's share."""

from __future__ import annotations

from dataclasses import replace

from fakes.values import instances, release

from reconciler.core.plan import alone, endpoints, in_force, observed_weight
from reconciler.core.state import Backend, InstanceStatus, Observed, Route, Traffic

V1, V2 = release("v1", instances=4), release("v2", instances=4)


def traffic(stable=None, canary=None, weight=0, count=2, port=8080):
    def side(one):
        return one and Backend(one.digest, tuple(x.endpoint for x in instances(one, count)))

    return Traffic(port, side(stable), side(canary), weight)


def test_requests_go_to_what_is_ready_else_to_what_still_listens():
    first, second, third = instances(V1, 3)
    unwell = replace(second, status=InstanceStatus.UNHEALTHY)
    starting = replace(third, status=InstanceStatus.STARTING)
    assert endpoints(Observed((unwell, first, starting)), V1.digest) == (first.endpoint,)
    assert endpoints(Observed((unwell, starting)), V1.digest) == (unwell.endpoint,)
    assert endpoints(Observed((starting,)), V1.digest) == ()


def test_a_split_is_in_force_by_digests_and_weight_whatever_its_endpoints():
    route = Route(8080, V1.digest, V2.digest, 500)
    assert in_force(route, Observed((), traffic(V1, V2, 500, count=0)))
    assert not in_force(route, Observed((), traffic(V1, V2, 501)))
    assert not in_force(route, Observed((), traffic(V1, V2, 500, port=8081)))
    assert not in_force(route, Observed())
    assert in_force(Route(8080, None, None, 0), Observed())
    assert in_force(alone(V1), Observed((), traffic(V1)))


def test_the_canarys_share_is_what_is_in_force():
    found = (None, traffic(V1), traffic(V1, V2, 500), traffic(None, V2, 500))
    assert [observed_weight(one) for one in found] == [0, 0, 500, 10_000]
