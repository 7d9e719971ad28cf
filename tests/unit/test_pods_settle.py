"""Whatever the two sides hold, a few rounds of plans settle them, and each side keeps what it owns."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kube.objects import Obj
from syncer.core import podselectors
from syncer.core.actions import Create, Ensure, Patch
from syncer.kinds.pods.pods import Pods
from tests.unit import podcases
from tests.unit.podcases import KEY, NODE, condition, container_status

GATE = "example.org/ready"
TYPES = (
    "PodScheduled",
    "Initialized",
    "Ready",
    "PodResizePending",
    "DisruptionTarget",
    GATE,
    "host.example/lb",
)
VALUES = st.sampled_from(["a", "b"])
TOLERATIONS = [
    {"key": key, "operator": "Exists", "effect": effect}
    for key in ("spot", "gpu")
    for effect in ("NoSchedule", "NoExecute")
]


@st.composite
def conditions(draw: st.DrawFn, message: str) -> list[Obj]:
    chosen = draw(st.lists(st.sampled_from(TYPES), unique=True))
    return [
        condition(
            type_,
            draw(st.sampled_from(["True", "False"])),
            **draw(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "reason": VALUES,
                        "message": st.sampled_from(["fine", message]),
                        "observedGeneration": st.integers(1, 3),
                    },
                )
            ),
        )
        for type_ in chosen
    ]


@st.composite
def statuses(draw: st.DrawFn, message: str) -> Obj:
    """A status as either side may hold it; the phase never ends, which no later status may take back."""
    fields: dict[str, Any] = {
        "reason": VALUES,
        "message": VALUES,
        "startTime": st.just("2027-01-15T08:00:00Z"),
        "observedGeneration": st.integers(1, 3),
        "nominatedNodeName": VALUES,
        "allocatedResources": st.dictionaries(st.sampled_from(["cpu", "memory"]), VALUES, min_size=1),
        "podIPs": st.lists(st.sampled_from([{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]), min_size=1, max_size=1),
        "containerStatuses": st.lists(
            st.sampled_from([container_status(name, image) for name in ("app", "proxy") for image in "xy"]),
            min_size=1,
            unique_by=lambda one: str(one["name"]),
        ),
    }
    status: Obj = draw(
        st.fixed_dictionaries({"phase": st.sampled_from(["Pending", "Running"])}, optional=fields)
    )
    return {**status, "conditions": draw(conditions(message))}


def edit(draw: st.DrawFn, pod: Obj, message: str) -> Obj:
    pod["metadata"]["generation"] = draw(st.integers(1, 3))
    for field in ("labels", "annotations"):
        kept = {} if draw(st.booleans()) else pod["metadata"][field]
        pod["metadata"][field] = kept | draw(st.dictionaries(st.sampled_from(["x", "y.example/z"]), VALUES))
    pod["spec"]["tolerations"] = draw(st.lists(st.sampled_from(TOLERATIONS), unique_by=str))
    pod["spec"]["containers"][0]["image"] = draw(VALUES)
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": draw(VALUES)}}
    pod["status"] = {"qosClass": "BestEffort", **draw(statuses(message))}
    return pod


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Obj, Obj]:
    gates = {"readinessGates": [{"conditionType": GATE}]}
    tenant, node = podcases.tenant_pod(**gates), {"nodeName": NODE}
    host = podcases.host_pod(tenant, **(node if draw(st.booleans()) else {}))
    host["spec"]["containers"].append({"name": "proxy", "image": "mesh/proxy:2"})
    marks = {field: dict(host["metadata"][field]) for field in ("labels", "annotations")}
    edit(draw, host, f"pod {podcases.HOST_KEY.name} in vcp-work")
    for field, values in marks.items():
        host["metadata"][field] |= values
    return edit(draw, tenant, "wait"), host


def settle(tenant: Obj, host: Obj) -> tuple[Obj, Obj, int]:
    """Both pods after as many rounds as it took."""
    pods = {"tenant": tenant, "host": host}
    for rounds in range(4):
        plan = Pods().plan(KEY, pods["tenant"], pods["host"], podcases.scope())
        if not plan:
            return pods["tenant"], pods["host"], rounds
        for action in plan:
            if isinstance(action, Patch):
                pods[action.side] = podcases.merged(pods[action.side], dict(action.body))
            elif isinstance(action, Create):
                pods["tenant"] = podcases.merged(
                    pods["tenant"],
                    {"spec": {"nodeName": NODE}, "status": {"conditions": [condition("PodScheduled")]}},
                )
            else:
                assert isinstance(action, Ensure)
    raise AssertionError(plan)


@settings(deadline=None, max_examples=25)  # drawing pods takes its time
@given(pairs())
def test_any_two_pods_settle_and_each_side_keeps_its_own(pair: tuple[Obj, Obj]) -> None:
    given_tenant, given_host = copy.deepcopy(pair)
    tenant, host, _ = settle(*pair)
    assert pair == (given_tenant, given_host)
    assert {**tenant["spec"], "nodeName": ""} == {**given_tenant["spec"], "nodeName": ""}
    assert tenant["metadata"] == given_tenant["metadata"]
    assert tenant["status"]["qosClass"] == "BestEffort"
    assert "vcp-work" not in str([one for one in tenant["status"]["conditions"] if one["type"] == "Ready"])
    assert all(toleration in host["spec"]["tolerations"] for toleration in given_host["spec"]["tolerations"])
    assert host["spec"]["containers"][1] == given_host["spec"]["containers"][1]
    labels = podselectors.labels(tenant["metadata"]["labels"], podcases.scope())
    assert host["metadata"]["labels"].items() >= labels.items()
    own = {one["type"]: one["status"] for one in given_tenant["status"]["conditions"] if one["type"] == GATE}
    for pod in (tenant, host):
        assert {
            one["type"]: one["status"] for one in pod["status"]["conditions"] if one["type"] == GATE
        } == own
