"""What a pod finds in its environment and files is what its tenant put there, and it follows changes."""

import json
import shlex
from typing import Any

from labkit.images import TOOLS

from ..conftest import eventually
from ..objects import LIMITED, pod, service
from .conftest import Place

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def mounted(**volumes: dict[str, Any]) -> dict[str, Any]:
    """A pod's volumes and its container's mounts, each at /NAME."""
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in volumes]
    return {
        "volumes": [{"name": name, **source} for name, source in volumes.items()],
        "container": {"volumeMounts": mounts},
    }


def with_env(name: str, env: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    container = spec.pop("container", {}) | {"env": env}
    return pod(name, container=container, **spec)


def test_config_maps_and_secrets_are_in_the_environment_and_in_files(place: Place) -> None:
    place.apply(config_map("settings", colour="green", size="9"), secret("keys", word="hidden"))
    env: list[dict[str, Any]] = [
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "word"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "none", "key": "x", "optional": True}}},
        {"name": "BOTH", "value": "$(COLOUR)-$(WORD)"},
    ]
    both = [{"configMap": {"name": "settings"}}, {"secret": {"name": "keys"}}]
    parts = mounted(
        settings={"configMap": {"name": "settings", "items": [{"key": "size", "path": "deep/size"}]}},
        keys={"secret": {"secretName": "keys"}},
        all={"projected": {"sources": both}},
    )
    reader = with_env("reader", env, **parts)
    reader["spec"]["containers"][0]["envFrom"] = [{"prefix": "ALL_", "configMapRef": {"name": "settings"}}]
    place.apply(reader)
    place.wait("--for=condition=Ready", "pod/reader")
    script = 'echo "$BOTH $ALL_size [$NONE]"; cat /settings/deep/size /keys/word; ls /all'
    shown = place.run("reader", "sh", "-c", script)
    assert shown.splitlines() == ["green-hidden 9 []", "9hiddencolour", "size", "word"]


def test_a_pod_waits_for_a_config_map_that_comes_later(place: Place) -> None:
    place.apply(pod("early", **mounted(late={"configMap": {"name": "late"}})))
    eventually("the pod on the host", lambda: "early" in place.on_host())
    place.apply(config_map("late", word="here"))
    # The kubelet looks again with a back-off that reaches two minutes.
    place.wait("--for=condition=Ready", "pod/early", seconds=150)
    assert place.run("early", "cat", "/late/word") == "here"


def test_changes_of_config_and_labels_reach_the_pods_files(place: Place) -> None:
    place.apply(config_map("settings", colour="green"))
    labels = {"fieldRef": {"fieldPath": "metadata.labels"}}
    files = mounted(
        settings={"configMap": {"name": "settings"}},
        info={"downwardAPI": {"items": [{"path": "labels", **labels}]}},
    )
    place.apply(pod("follower", **files))
    place.wait("--for=condition=Ready", "pod/follower")
    assert place.run("follower", "cat", "/info/labels") == 'app="follower"'
    place.apply(config_map("settings", colour="red"))
    # The kubelet looks after files once a minute, and at once when the pod itself changes.
    place.kubectl("label", "pod", "follower", "phase=two")
    want = {'app="follower"', 'phase="two"'}
    eventually(
        "the new label",
        lambda: set(place.run("follower", "cat", "/info/labels").splitlines()) == want,
        seconds=90,
    )
    eventually(
        "the new colour", lambda: place.run("follower", "cat", "/settings/colour") == "red", seconds=90
    )


def test_a_pod_learns_about_itself_what_its_tenant_knows(place: Place) -> None:
    env = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for name, path in (
            ("NAME", "metadata.name"),
            ("PLACE", "metadata.namespace"),
            ("ID", "metadata.uid"),
            ("ACCOUNT", "spec.serviceAccountName"),
            ("ADDRESS", "status.podIP"),
            ("NODE", "spec.nodeName"),
        )
    ]
    place.apply(with_env("mirror", env))
    place.wait("--for=condition=Ready", "pod/mirror")
    seen = place.pod("mirror")
    assert seen is not None
    shown = place.run("mirror", "sh", "-c", "echo $NAME $PLACE $ID $ACCOUNT $ADDRESS $NODE").split()
    assert shown == [
        *("mirror", place.namespace, seen["metadata"]["uid"], "default"),
        *(seen["status"]["podIP"], seen["spec"]["nodeName"]),
    ]


def test_what_services_say_is_what_they_say_on_a_real_cluster(place: Place, namespace: str) -> None:
    """The same manifests on the host and in the tenant: order, precedence and `$(NAME)` are a kubelet's."""
    ports = [{"name": "sql-port", "port": 5432}, {"name": "stats", "port": 53, "protocol": "UDP"}]
    services = [service("db", ports=ports), service("web"), service("alone", clusterIP="None")]
    settings = config_map(
        "settings", WEB_SERVICE_PORT="from the map", DB_PORT="from the map", OTHER="$(DB_PORT)"
    )
    env = [
        {"name": "BEFORE", "value": "$(DB_SERVICE_HOST) $(WEB_SERVICE_PORT) $(DB_PORT) $(LATER) $$(DB_PORT)"},
        {"name": "DB_SERVICE_HOST", "value": "mine, not $(DB_SERVICE_HOST)"},
        {"name": "AFTER", "value": "$(DB_SERVICE_HOST) $(KUBERNETES_SERVICE_PORT)"},
        {"name": "LATER", "value": "later"},
    ]
    reader = pod("reader", container={"env": env, "envFrom": [{"configMapRef": {"name": "settings"}}]})
    prepare = {**reader["spec"]["containers"][0], "name": "prepare", "command": ["true"]}
    reader["spec"] |= {"initContainers": [prepare], "automountServiceAccountToken": False}
    unlinked = pod("unlinked", enableServiceLinks=False, automountServiceAccountToken=False)
    objects = {"apiVersion": "v1", "kind": "List", "items": [*services, settings]}
    pods = {"apiVersion": "v1", "kind": "List", "items": [reader, unlinked]}

    def on_host(*arguments: str, stdin: str | None = None) -> str:
        return place.lab.kubectl("-n", namespace, *arguments, stdin=stdin)

    place.kubectl("apply", "-f", "-", stdin=json.dumps(objects))
    on_host("apply", "-f", "-", stdin=json.dumps(objects))
    place.kubectl("apply", "-f", "-", stdin=json.dumps(pods))
    on_host("apply", "-f", "-", stdin=json.dumps(pods))
    place.wait("--for=condition=Ready", "pod/reader", "pod/unlinked")
    on_host("wait", "--for=condition=Ready", "pod/reader", "pod/unlinked", "--timeout=60s")

    def named(text: str, listed: Any, api: Any) -> list[str]:
        """The variables, with the names of services for their addresses."""
        found = {one["spec"]["clusterIP"]: one["metadata"]["name"] for one in [*listed["items"], api]}
        for address in sorted(found, key=len, reverse=True):
            text = text.replace(address, found[address])
        return sorted(text.splitlines())

    api = place.tenant.get("-n", "default", "service", "kubernetes")
    host_api = place.lab.get("-n", "default", "service", "kubernetes")
    theirs, real = place.get("services"), json.loads(on_host("get", "services", "-o", "json"))
    for name in ("reader", "unlinked"):
        seen = named(place.run(name, "env"), theirs, api)
        assert seen == named(on_host("exec", name, "--", "env"), real, host_api)
        assert any(line == "KUBERNETES_PORT=tcp://kubernetes:443" for line in seen), seen
    assert len(place.configured()) == 2  # with and without the namespace's own services


def test_the_token_is_the_tenants_and_worth_nothing_on_the_host(place: Place) -> None:
    place.apply(pod("caller"))
    place.wait("--for=condition=Ready", "pod/caller")
    assert place.run("caller", "cat", f"{ACCOUNT}/namespace") == place.namespace
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    ask = (
        f'curl -sm5 --cacert {ACCOUNT}/ca.crt -H "Authorization: Bearer $(cat {ACCOUNT}/token)" '
        f"-H 'Content-Type: application/json' -d '{review}' "
        "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/apis/authentication.k8s.io/v1/selfsubjectreviews"
    )
    answer = json.loads(place.run("caller", "sh", "-c", ask))
    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{place.namespace}:default"
    # A pod does not even reach the host's API; a token that got out of it is nobody there.
    address = place.lab.get("-n", "default", "service", "kubernetes")["spec"]["clusterIP"]
    host = ("curl", "-skm5", "-o", "/dev/null", "-w", "%{http_code}", f"https://{address}/api")
    assert place.run("caller", "sh", "-c", f"{shlex.join(host)} || true") == "000"
    bearer = f"Authorization: Bearer {place.run('caller', 'cat', f'{ACCOUNT}/token')}"
    assert place.lab.run(*host, "-H", bearer).stdout == "401"


def test_init_containers_sidecars_and_ephemeral_containers_run(place: Place) -> None:
    shared = [{"name": "shared", "mountPath": "/shared"}]
    base = {"image": TOOLS, "imagePullPolicy": "Never", "securityContext": LIMITED, "volumeMounts": shared}
    init = [
        {"name": "prepare", "command": ["sh", "-c", "echo prepared > /shared/file"], **base},
        {"name": "beside", "command": ["sleep", "infinity"], "restartPolicy": "Always", **base},
    ]
    volumes = [{"name": "shared", "emptyDir": {}}]
    place.apply(pod("many", volumes=volumes, container={"volumeMounts": shared}, initContainers=init))
    place.wait("--for=condition=Ready", "pod/many")
    assert place.run("many", "cat", "/shared/file", container="beside") == "prepared\n"
    seen = place.pod("many")
    assert seen is not None
    states = {one["name"]: one["state"] for one in seen["status"]["initContainerStatuses"]}
    assert states["prepare"]["terminated"]["exitCode"] == 0
    assert "running" in states["beside"]
    debug = ("--image", TOOLS, "--container=look", "--profile=baseline", "--attach=false", "--quiet")
    place.kubectl("debug", "pod/many", *debug, "--", "sleep", "infinity")

    def looking() -> bool:
        statuses = (place.pod("many") or {}).get("status", {}).get("ephemeralContainerStatuses", [])
        return any("running" in one["state"] for one in statuses)

    eventually("the ephemeral container in the tenant's status", looking)
    assert place.run("many", "echo", "here", container="look") == "here\n"
