"""Lives that end: create, extend and reap, and the reaper's objects."""

import json

import pytest
from fakeapi import FakeApi
from faketenant import CREATE, Tenant
from hostcli import HostCli, put_tenant

PAST = "2026-01-01T00:00:00Z"
FAR = "2099-01-01T00:00:00Z"


def put_expiring(api: FakeApi, name: str, when: str, **spec: object) -> None:
    namespace = put_tenant(api, name, **spec)
    record = api.find("secrets", "control-plane", namespace)
    assert record
    record["metadata"]["annotations"]["vcp.dev/expires-at"] = when
    api.put("secrets", record)


def moment(api: FakeApi, name: str = "a") -> str | None:
    record = api.find("secrets", "control-plane", f"vcp-{name}")
    assert record
    found: str | None = record["metadata"]["annotations"].get("vcp.dev/expires-at")
    return found


async def test_only_what_has_expired_is_reaped(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "b")
    put_expiring(api, "a", PAST)
    put_expiring(api, "later", FAR)
    put_expiring(api, "kept", PAST, protected=True)
    put_expiring(api, "odd", "when it suits")
    before = set(api.objects)
    dry = await cli("reap", "--dry-run")
    assert (dry.code, dry.out.startswith("tenant a would be deleted: it expired ")) == (0, True)
    assert set(api.objects) == before
    result = await cli("reap")
    assert (result.code, result.out) == (0, f"tenant a deleted: it expired at {PAST}\n"), result.err
    assert "tenant kept stays" in result.err
    assert {key.name for key in before - set(api.objects) if key.plural == "namespaces"} == {
        "vcp-a",
        "vcp-a-work",
    }
    assert (await cli("reap")).out == ""


async def test_namespaces_of_a_create_that_died_early_are_reaped(api: FakeApi, cli: HostCli) -> None:
    put_expiring(api, "a", PAST)
    api.remove("secrets", "control-plane", "vcp-a")
    for name in ("vcp-a", "vcp-a-work"):
        namespace = api.find("namespaces", name)
        assert namespace
        namespace["metadata"]["annotations"] = {"vcp.dev/expires-at": PAST}
        api.put("namespaces", namespace)
    assert (await cli("reap")).out.startswith("tenant a deleted")
    assert not api.objects


async def test_one_that_cannot_be_reaped_does_not_keep_the_others(api: FakeApi, cli: HostCli) -> None:
    put_expiring(api, "a", PAST, made=False)
    put_expiring(api, "b", PAST)
    api.denied |= {("list", "deployments"), ("list", "pods"), ("get", "clusterroles")}
    result = await cli("reap")
    assert (result.code, result.out) == (6, f"tenant b deleted: it expired at {PAST}\n")
    assert "tenant a cannot be deleted: the host refuses" in result.err
    assert api.find("secrets", "control-plane", "vcp-a")


async def test_a_life_is_fixed_by_the_first_create(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    assert (await cli(*CREATE, "--ttl", "1h")).code == 0
    first = moment(api)
    again = await cli("create", "a")
    assert (again.out, moment(api)) == ("tenant a unchanged\n", first)
    assert (await cli("extend", "a", "--ttl", "2h")).out.startswith("tenant a expires at ")
    extended = moment(api)
    assert extended
    assert first
    assert extended > first
    assert (await cli("extend", "a", "--ttl", "1m")).code == 0
    assert moment(api) == extended  # never shorter
    assert (await cli("create", "a")).out == "tenant a unchanged\n"
    assert moment(api) == extended
    listed = json.loads((await cli("list", "-o", "json")).out)[0]
    assert listed["expires"] == extended
    assert "ttl: '1h' -> ''" in (await cli("create", "a", "--set", "ttl=''")).err
    assert moment(api) is None
    refused = await cli("extend", "a", "--ttl", "2h")
    assert (refused.code, "does not expire" in refused.err) == (4, True)


@pytest.mark.parametrize("ttl", ["never", "1w", ""])
async def test_extend_wants_a_duration(cli: HostCli, ttl: str) -> None:
    result = await cli("extend", "a", "--ttl", ttl)
    assert (result.code, "not a duration" in result.err) == (2, True)


async def test_the_reaper_comes_and_goes(api: FakeApi, cli: HostCli) -> None:
    assert (await cli("reaper", "uninstall")).code == 3
    result = await cli("reaper", "install", "--image", "example/vcp:1", "--schedule", "0 * * * *")
    assert (result.code, result.out) == (0, "the reaper is installed in namespace vcp-reaper\n"), result.err
    job = api.find("cronjobs", "vcp-reaper", "vcp-reaper")
    assert job
    assert job["spec"]["schedule"] == "0 * * * *"
    assert (await cli("list")).out == ""
    refused = await cli("reaper", "install", "-n", "other")
    assert (refused.code, "installed in namespace vcp-reaper" in refused.err) == (4, True)
    assert (await cli("reaper", "uninstall")).out == "the reaper is removed from namespace vcp-reaper\n"
    assert not api.objects
