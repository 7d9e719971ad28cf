"""The two cluster-scoped objects that real nodes take: made, pruned and deleted with their setting."""

from fakeapi import FakeApi
from faketenant import CREATE, Tenant
from hostcli import HostCli


async def test_what_real_nodes_take_goes_with_them(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    real, pseudo = ("--set", "sync.nodes.mode=real"), ("--set", "sync.nodes.mode=pseudo")
    roles = [(kind, "vcp-a-syncer") for kind in ("clusterroles", "clusterrolebindings")]
    theirs = {"metadata": {"name": "vcp-b-syncer", "labels": {"vcp.dev/tenant": "b"}}}
    api.put("clusterroles", theirs)
    for end in ((*CREATE, *pseudo), ("delete", "a", "--yes")):
        assert (await cli(*CREATE, *real)).code == 0
        assert all(api.find(*role) for role in roles)
        assert (await cli(*end)).code == 0
        assert not any(api.find(*role) for role in roles)
    assert api.find("clusterroles", "vcp-b-syncer")


async def test_who_may_not_read_cluster_roles_needs_none(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    api.denied |= {(verb, "clusterroles") for verb in ("get", "create", "patch", "delete")}
    assert (await cli(*CREATE)).code == 0
    refused = await cli(*CREATE, "--set", "sync.nodes.mode=real")
    assert refused.code == 4
    assert "  create, get, patch clusterroles.rbac.authorization.k8s.io\n" in refused.err
    assert (await cli("delete", "a", "--yes")).code == 0
