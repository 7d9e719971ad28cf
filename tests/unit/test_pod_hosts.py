"""The full name of a pod with a subdomain, and who writes it down."""

import dataclasses

import podcases

from kube.objects import Obj
from syncer import etchosts as writer
from syncer.core.scope import Scope
from syncer.kinds.pods import etchosts, spec

SCOPE = Scope(name="acme", namespace="work", control_namespace="control", hosts_image="vcp-syncer:1")


def member(**changes: object) -> Obj:
    tenant = podcases.tenant_pod()
    tenant["spec"] |= {"hostname": "web-0", "subdomain": "nginx", **changes}
    return tenant


def test_the_full_name_is_that_of_the_tenants_dns() -> None:
    assert etchosts.full_name(member(), SCOPE) == "web-0.nginx.default.svc.cluster.local"
    assert etchosts.full_name(member(subdomain=""), SCOPE) == ""
    assert etchosts.full_name(member(hostNetwork=True), SCOPE) == ""


def test_a_container_of_ours_writes_the_file_before_all_others() -> None:
    tenant = member(
        initContainers=[{"name": "first", "image": "i"}],
        hostAliases=[{"ip": "10.0.0.1", "hostnames": ["a", "b"]}],
    )
    tenant["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "1"}}
    host = spec.host_pod(tenant, SCOPE)["spec"]
    ours, first = host["initContainers"]
    assert ours["image"] == "vcp-syncer:1"
    assert ours["command"][4:] == ["web-0.nginx.default.svc.cluster.local", "web-0", "10.0.0.1\ta\tb"]
    assert ours["resources"] == {"limits": {"cpu": "1"}}, "requests and QoS class as without it"
    for container in (first, *host["containers"]):
        assert {"name": "vcp-hosts", "mountPath": "/etc/hosts", "subPath": "hosts"} in container[
            "volumeMounts"
        ]
    assert "volumeMounts" not in tenant["spec"]["initContainers"][0]


def test_who_mounts_the_file_himself_keeps_his_own() -> None:
    tenant = member()
    own = {"name": "mine", "mountPath": "/etc/hosts"}
    tenant["spec"]["containers"][0]["volumeMounts"] = [own]
    tenant["spec"]["volumes"] = [{"name": "mine", "emptyDir": {}}]
    (container,) = spec.host_pod(tenant, SCOPE)["spec"]["containers"]
    assert container["volumeMounts"] == [own]


def test_without_a_subdomain_or_an_image_nothing_is_added() -> None:
    assert "initContainers" not in spec.host_pod(member(subdomain=""), SCOPE)["spec"]
    plain = dataclasses.replace(SCOPE, hosts_image="")
    assert "initContainers" not in spec.host_pod(member(), plain)["spec"]


def test_the_full_name_as_host_name_is_an_override() -> None:
    host = spec.host_pod(member(setHostnameAsFQDN=True), SCOPE)["spec"]
    assert host["hostnameOverride"] == "web-0.nginx.default.svc.cluster.local"
    assert host["setHostnameAsFQDN"] is False


def test_the_file_is_the_kubelets_but_for_the_name() -> None:
    text = writer.content(["10.42.0.9", "fd00::9"], ["web-0.nginx.default.svc", "web-0"], ["10.0.0.1\ta"])
    assert text.splitlines()[1] == "127.0.0.1\tlocalhost"
    assert text.splitlines()[-3:] == [
        "10.42.0.9\tweb-0.nginx.default.svc\tweb-0",
        "fd00::9\tweb-0.nginx.default.svc\tweb-0",
        "10.0.0.1\ta",
    ]
