"""Services that wish for two families of addresses, on a host that has one: as on the host itself."""

import json
from typing import Any

from ..conftest import eventually
from ..objects import service
from .conftest import Place
from .test_services import host_services, is_equal


def families(one: dict[str, Any]) -> tuple[Any, ...]:
    spec = one["spec"]
    return spec["ipFamilyPolicy"], spec["ipFamilies"], len(spec["clusterIPs"])


def test_who_prefers_two_families_gets_the_one_that_there_is(place: Place) -> None:
    place.apply(service("both", ipFamilyPolicy="PreferDualStack"), service("later"))
    for name in ("both", "later"):
        eventually(f"{name} is equal on both sides", lambda name=name: is_equal(place, name))
    later = json.dumps({"spec": {"ipFamilyPolicy": "PreferDualStack"}})
    place.kubectl("patch", "service", "later", "--type=merge", "-p", later)
    expected = ("PreferDualStack", ["IPv4"], 1)
    for name in ("both", "later"):
        assert families(place.get("service", name)) == expected
        eventually("the host's", lambda name=name: families(host_services(place)[name]) == expected)


def test_who_requires_two_families_is_refused_in_the_hosts_words(place: Place) -> None:
    both = json.dumps(
        {**service("both"), "spec": service("both")["spec"] | {"ipFamilyPolicy": "RequireDualStack"}}
    )
    refused = place.kubectl("apply", "-f", "-", stdin=both, check=False)
    on_host = ("kubectl", "-n", place.tenant.work, "create", "--dry-run=server", "-f", "-")
    theirs = place.lab.run(*on_host, stdin=both, check=False)
    words = "not configured for dual-stack services"
    assert (refused.returncode, theirs.returncode) == (1, 1)
    assert words in refused.stderr
    assert words in theirs.stderr
    assert "both" not in host_services(place)
