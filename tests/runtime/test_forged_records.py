"""Records and kubeconfigs that somebody with rights in a single namespace has written."""

import base64
import json

import pytest
from fakeapi import FakeApi
from hostcli import HostCli, labelled, put_tenant

PAST = "2026-01-01T00:00:00Z"


def forge(api: FakeApi, tenant: str, work: str, place: str = "team-x") -> None:
    """An expired record of this tenant in a namespace of the forger's own."""
    if not api.find("namespaces", place):
        api.put("namespaces", {"metadata": {"name": place}})
    spec = {
        "name": tenant,
        "namespace": place,
        "workloadNamespace": work,
        "distro": "k3s",
        "version": "v1.36.3",
    }
    meta = {"name": "control-plane", "namespace": place, "labels": labelled(tenant)}
    meta |= {"annotations": {"vcp.dev/expires-at": PAST}, "creationTimestamp": PAST}
    data = {"spec.json": base64.b64encode(json.dumps(spec).encode()).decode()}
    api.put("secrets", {"metadata": meta, "data": data})


@pytest.mark.parametrize("tenant", ["victim", "another"])
@pytest.mark.parametrize("work", ["vcp-victim-work", "vcp-victim"])
@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("protected", [False, True])
async def test_a_forged_record_deletes_nobodys_namespaces(
    api: FakeApi, cli: HostCli, tenant: str, work: str, earlier: bool, protected: bool
) -> None:
    """`earlier`: the victim was made by a version that did not name the record's namespace."""
    put_tenant(api, "victim", protected=protected)
    for name in ("vcp-victim", "vcp-victim-work") if earlier else ():
        namespace = api.find("namespaces", name)
        assert namespace
        del namespace["metadata"]["labels"]["vcp.dev/control-namespace"]
        api.put("namespaces", namespace)
    forge(api, tenant, work)
    before = {key for key in api.objects if key.namespace != "team-x" and key.name != "team-x"}
    result = await cli("reap", "--no-wait")
    assert f"namespace {work} is of tenant 'victim'" in result.err
    assert result.code != 0
    assert before <= set(api.objects)
    await cli("delete", tenant, "-n", "team-x", "--yes", "--unprotect", "--no-wait")
    assert before <= set(api.objects)


async def test_a_forged_record_deletes_nothing_in_a_given_namespace(api: FakeApi, cli: HostCli) -> None:
    api.put("namespaces", {"metadata": {"name": "given"}})
    labels = labelled("victim") | {"vcp.dev/control-namespace": "given-too"}
    api.put("configmaps", {"metadata": {"name": "vcp-anchor", "namespace": "given", "labels": labels}})
    api.put("services", {"metadata": {"name": "web", "namespace": "given", "labels": labelled("victim")}})
    forge(api, "victim", "given")
    result = await cli("reap", "--no-wait")
    assert "namespace given is of tenant 'victim' in namespace given-too" in result.err
    assert api.find("services", "web", "given")


async def test_two_tenants_of_one_name_are_told_apart(api: FakeApi, cli: HostCli) -> None:
    put_tenant(api, "a")
    forge(api, "a", "elsewhere")
    commands = ("status a", "delete a --yes", "kubeconfig a", "extend a --ttl 1h")
    for command in map(str.split, commands):
        result = await cli(*command)
        assert result.code == 4, (command, result.err)
        assert "there are 2 tenants 'a', in the namespaces team-x, vcp-a" in result.err
    assert api.find("namespaces", "vcp-a")
    assert (await cli("status", "a", "-n", "vcp-a")).code in (0, 1)


async def test_a_planted_kubeconfig_is_not_passed_on(api: FakeApi, cli: HostCli) -> None:
    forge(api, "planted", "team-x")
    cluster, user = {"server": "https://192.0.2.1"}, {"exec": {"command": "x"}}
    text = json.dumps(
        {"clusters": [{"name": "a", "cluster": cluster}], "users": [{"name": "a", "user": user}]}
    )
    data = {"kubeconfig": base64.b64encode(text.encode()).decode()}
    api.put("secrets", {"metadata": {"name": "kubeconfig", "namespace": "team-x"}, "data": data})
    for command in (("kubeconfig", "planted"), ("connect", "planted", "--print")):
        result = await cli(*command)
        assert (result.code, result.out) == (4, "")
        assert "the published kubeconfig holds exec: it was not written by vcp" in result.err
