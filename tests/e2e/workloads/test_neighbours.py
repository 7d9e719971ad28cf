"""Two tenants that use the same names do not meet."""

import secrets

from ..conftest import eventually
from ..objects import deployment, pod, web
from ..tenants.conftest import Tenant
from .conftest import Place, uid
from .test_content import config_map, mounted


def test_the_same_names_in_two_tenants_are_different_pods(working: Tenant, neighbour: Tenant) -> None:
    name = f"e2e-{secrets.token_hex(4)}"
    here, there = Place(working, name), Place(neighbour, name)
    for place, colour in ((here, "green"), (there, "red")):
        same = pod("same", **mounted(settings={"configMap": {"name": "settings"}}))
        place.apply(config_map("settings", colour=colour), deployment(web("web")), same)
    for place, colour in ((here, "green"), (there, "red")):
        place.wait("--for=condition=Ready", "pod/same")
        place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        assert place.run("same", "cat", "/settings/colour") == colour
        assert len(place.on_host()) == 2
    kept = uid(there.on_host()["same"])
    working.kubectl("delete", "namespace", name)
    eventually("nothing left of the one", lambda: not here.on_host())
    assert uid(there.on_host()["same"]) == kept
    assert len(there.on_host()) == 2
