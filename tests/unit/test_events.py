"""Which Events of the host a tenant hears of, and in which words."""

import copy
from typing import Any

import pytest

from kube import apis
from kube.objects import Key, Obj
from syncer.core.actions import Action, Create, Patch, Side
from syncer.core.scope import Scope
from syncer.kinds.events import Events
from syncer.kinds.pods.pods import Pods
from tests.unit import podcases
from tests.unit.podcases import HOST_KEY, HOST_UID, UID, running

HOST_EVENT = Key("vcp-work", f"{HOST_KEY.name}.17f3a")


def host_event(**fields: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": HOST_EVENT.namespace, "name": HOST_EVENT.name, "uid": "event-uid"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "vcp-work",
            "name": HOST_KEY.name,
            "uid": HOST_UID,
            "resourceVersion": "12",
            "fieldPath": "spec.containers{app}",
        },
        "type": "Warning",
        "reason": "BackOff",
        "message": f"Back-off restarting failed container app in pod {HOST_KEY.name}_vcp-work({HOST_UID})",
        "count": 1,
        "firstTimestamp": "2027-01-15T08:00:03Z",
        "lastTimestamp": "2027-01-15T08:00:03Z",
        "eventTime": None,
        "source": {"component": "kubelet", "host": "node-1"},
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
        **fields,
    }


def involving(**fields: Any) -> Obj:
    return host_event(involvedObject={**host_event()["involvedObject"], **fields})


def cluster(event: Obj, *, pods: tuple[Obj, ...] | None = None, mirrored: tuple[Obj, ...] = ()) -> Scope:
    """`pods` on the host; by default the running one."""
    tenant, host = running()
    return podcases.scope(tenant=[tenant, *mirrored], host=[*((host,) if pods is None else pods), event])


def plan(scope: Scope) -> list[Action]:
    """That of the whole objects, which what a store holds of them has to give, too."""
    events = Events((Pods(),))
    tenant, host = events.find(HOST_EVENT, scope)
    actions = events.plan(HOST_EVENT, tenant, host, scope)
    assert events.plan(HOST_EVENT, kept("tenant", tenant), kept("host", host), scope) == actions
    return actions


def kept(side: Side, obj: Obj | None) -> Obj | None:
    return None if obj is None else Events((Pods(),)).kept(side, copy.deepcopy(obj))


def told(event: Obj) -> Obj:
    (create,) = plan(cluster(event))
    assert isinstance(create, Create)
    assert create.side == "tenant"
    return create.obj


def test_an_event_is_told_on_the_tenant_pod_in_its_words() -> None:
    assert told(host_event()) == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "default", "name": "web-0.17f3a", "labels": {"vcp.dev/mirrored": "true"}},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": "default",
            "name": "web-0",
            "uid": UID,
            "fieldPath": "spec.containers{app}",
        },
        "type": "Warning",
        "reason": "BackOff",
        "message": f"Back-off restarting failed container app in pod web-0_default({UID})",
        "count": 1,
        "firstTimestamp": "2027-01-15T08:00:03Z",
        "lastTimestamp": "2027-01-15T08:00:03Z",
        "source": {"component": "kubelet", "host": "node-1"},
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
    }


def test_the_hosts_scheduling_is_the_only_one() -> None:
    event = host_event(
        reason="Scheduled", message=f"Successfully assigned vcp-work/{HOST_KEY.name} to node-1"
    )
    assert told(event)["message"] == "Successfully assigned default/web-0 to node-1"


def test_a_repeated_event_is_brought_up_to_date() -> None:
    tenant_event = copy.deepcopy(told(host_event()))
    tenant_event["metadata"]["uid"] = "tenant-event-uid"
    assert plan(cluster(host_event(), mirrored=(tenant_event,))) == []
    again = host_event(count=5, lastTimestamp="2027-01-15T08:05:00Z")
    (patch,) = plan(cluster(again, mirrored=(tenant_event,)))
    assert patch == Patch(
        "tenant",
        apis.EVENTS,
        Key("default", "web-0.17f3a"),
        "tenant-event-uid",
        {"count": 5, "lastTimestamp": "2027-01-15T08:05:00Z"},
        type="merge",
    )


def test_series_of_new_events_follow() -> None:
    series = {"count": 3, "lastObservedTime": "2027-01-15T08:01:00.000000Z"}
    event = host_event(eventTime="2027-01-15T08:00:03.000000Z", series=series, action="Binding")
    shown = told(event)
    assert (shown["series"], shown["action"]) == (series, "Binding")


def test_a_long_message_is_cut_to_what_the_api_takes() -> None:
    assert len(told(host_event(message=HOST_KEY.name * 200))["message"]) <= 1024


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(involving(kind="ReplicaSet", name="web"), id="of another kind"),
        pytest.param(involving(kind="Node", name=HOST_KEY.name), id="of a node"),
        pytest.param(involving(namespace="other"), id="in another namespace"),
        pytest.param(involving(name="admin-shell"), id="of a pod that is not the tenant's"),
        pytest.param(involving(uid="another"), id="of an earlier host pod"),
        pytest.param(involving(uid=""), id="without a uid"),
        pytest.param(involving(fieldPath="spec.containers{proxy}"), id="of an injected container"),
        pytest.param(
            involving(fieldPath="spec.initContainers{mesh-init}"), id="of an injected init container"
        ),
    ],
)
def test_events_about_anything_else_never_show(event: Obj) -> None:
    assert plan(cluster(event)) == []


def test_events_of_a_host_pod_of_an_earlier_tenant_pod_do_not_show() -> None:
    _, host = running()
    host["metadata"]["annotations"]["vcp.dev/uid"] = "earlier"
    assert plan(cluster(host_event(), pods=(host,))) == []


def test_without_the_host_pod_only_the_time_tells() -> None:
    (create,) = plan(cluster(host_event(), pods=()))
    assert isinstance(create, Create)
    old = host_event(firstTimestamp="2027-01-15T07:00:00Z", lastTimestamp="2027-01-15T07:00:00Z")
    assert plan(cluster(old, pods=())) == []
    assert plan(cluster(host_event(firstTimestamp=None, lastTimestamp=None), pods=())) == []


def test_an_event_that_expired_on_the_host_is_left_to_expire() -> None:
    assert plan(podcases.scope(tenant=running()[:1])) == []


def test_little_is_held_of_a_tenants_event() -> None:
    held = kept("tenant", told(host_event()) | {"count": 3})
    assert held
    assert "involvedObject" not in held
    assert held["metadata"].keys() <= {"namespace", "name", "uid", "resourceVersion"}
    assert held["count"] == 3
    assert kept("tenant", held) == held


def test_only_host_events_are_looked_at() -> None:
    assert list(Events((Pods(),)).concerned("host", host_event())) == [HOST_EVENT]
    assert list(Events((Pods(),)).concerned("tenant", told(host_event()))) == []


def test_events_of_the_host_are_only_read() -> None:
    (rule,) = [rule for rule in Events((Pods(),)).rules() if rule.side == "host"]
    assert (rule.api, rule.verbs, rule.cluster) == (apis.EVENTS, ("get", "list", "watch"), False)
