"""Services of three tenants beside each other, and of one whose syncer is away."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

from ..conftest import eventually
from ..objects import pod, service, web
from ..tenants.conftest import Tenant
from .conftest import Obj, Place, uid
from .test_services import allotted, dig, fetched, host_services


def test_three_tenants_with_the_same_names_do_not_meet(
    working: Tenant, neighbour: Tenant, another: Tenant
) -> None:
    name = f"e2e-{secrets.token_hex(4)}"
    places = [Place(tenant, name) for tenant in (working, neighbour, another)]
    owners = ("mine", "theirs", "others")
    for place, own in zip(places, owners, strict=True):
        place.apply(
            pod("client"), web(own, hostname=own), service("web", selector={"app": own}), service(own)
        )
    for place, own in zip(places, owners, strict=True):
        place.wait("--for=condition=Ready", f"pod/{own}", "pod/client")
        assert eventually("reached", lambda place=place: fetched(place, "http://web/hostname")) == own
    here, there, _ = places
    assert dig(here, f"theirs.{name}.svc.cluster.local") == set()
    assert dig(there, f"theirs.{name}.svc.cluster.local") != set()
    host = host_services(there)["web"]["metadata"]["name"]
    assert dig(here, f"{host}.{there.tenant.work}.svc.cluster.local") == set()

    # A hundred in each at once, by four clients each.
    wanted = [(place, first) for first in range(0, 100, 25) for place in places]
    with ThreadPoolExecutor(len(wanted)) as pool:
        answers = [told for found in pool.map(created, wanted) for told in found]
    assert len({told["spec"]["clusterIP"] for told in answers}) == 300
    assert len({told["spec"]["ports"][0]["nodePort"] for told in answers}) == 300
    for place in places:
        hosts = eventually("all are stored", lambda place=place: stored(place, 102))
        tenants = {one["metadata"]["name"]: one for one in place.get("services")["items"]}
        assert {key: allotted(one) for key, one in hosts.items()} == {
            key: allotted(one) for key, one in tenants.items()
        }
        told = [one for one in answers if one["metadata"]["uid"] == uid(tenants[one["metadata"]["name"]])]
        assert [allotted(one) for one in told] == [allotted(hosts[one["metadata"]["name"]]) for one in told]
        assert len(told) == 100
    for place in places:
        place.tenant.kubectl("delete", "namespace", name, "--wait=false")
    for place in places:
        eventually("nothing left", lambda place=place: not host_services(place))


def created(one: tuple[Place, int]) -> list[Obj]:
    """The answers to the creates of 25 Services, from `first` on."""
    place, first = one
    items = [service(f"many-{number}", type="NodePort") for number in range(first, first + 25)]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    text = place.kubectl("create", "-f", "-", "-o", "jsonpath={@}{'\\n'}", stdin=body).stdout
    return [json.loads(line) for line in text.splitlines()]


def stored(place: Place, count: int) -> dict[str, Obj]:
    """The host's Services of a place, once there are so many and each is that of a stored one."""
    found = host_services(place)
    owned = [one for one in found.values() if "vcp.dev/uid" in one["metadata"]["annotations"]]
    return found if len(owned) == len(found) == count else {}


def test_services_made_without_the_syncer_are_equal_once_it_is_back(neighbour: Tenant) -> None:
    place = Place(neighbour, f"e2e-{secrets.token_hex(4)}")
    host = ("-n", neighbour.namespace)
    place.lab.kubectl(*host, "scale", "deployment/syncer", "--replicas=0")
    place.lab.kubectl(*host, "wait", "--for=delete", "pod", "-l", "vcp.dev/component=syncer", "--timeout=60s")
    place.apply(*(service(f"early-{number}", type="NodePort") for number in range(50)))
    assert host_services(place) == {}
    # One address and one node port that the host gives to somebody else in the meantime.
    first = place.get("service", "early-0")["spec"]
    thief = service("thief", type="NodePort", clusterIP=first["clusterIP"])
    thief["spec"]["ports"][0]["nodePort"] = first["ports"][0]["nodePort"]
    place.lab.apply(thief, namespace="default")
    place.lab.kubectl(*host, "scale", "deployment/syncer", "--replicas=1")
    try:
        names = [f"early-{number}" for number in range(50)]

        def all_equal() -> bool:
            tenant = {one["metadata"]["name"]: allotted(one) for one in place.get("services")["items"]}
            there = {name: allotted(one) for name, one in host_services(place).items()}
            return set(there) >= set(names) and all(tenant[name] == there[name] for name in names)

        eventually("all are equal", all_equal)
        moved = place.get("service", "early-0")["spec"]
        assert moved["clusterIP"] != first["clusterIP"]
        assert moved["type"] == "NodePort"
        assert place.events("early-0", "AddressChanged")
    finally:
        place.lab.kubectl("-n", "default", "delete", "service", "thief")
