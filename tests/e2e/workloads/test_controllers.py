"""Every controller of Kubernetes that makes pods does so in a tenant, and its pods run on the host."""

from typing import Any

from ..conftest import eventually
from ..objects import deployment, pod, web
from ..tenants.conftest import Tenant
from .conftest import Place, job, owner, uid, until_replaced

APPS = "apps/v1"


def controller(kind: str, of: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A StatefulSet or DaemonSet whose pods are like the given one."""
    name = of["metadata"]["name"]
    template = {"metadata": {"labels": of["metadata"]["labels"]}, "spec": of["spec"]}
    selector = {"matchLabels": of["metadata"]["labels"]}
    return {
        "apiVersion": APPS,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"selector": selector, "template": template} | spec,
    }


def test_a_bare_pod_runs_and_is_seen_with_its_status(place: Place) -> None:
    place.apply(web("bare"))
    place.wait("--for=condition=Ready", "pod/bare")
    tenant, host = place.pod("bare"), place.on_host()["bare"]
    assert tenant is not None
    assert owner(host) == uid(tenant)
    for field in ("podIP", "hostIP", "phase", "startTime"):
        assert tenant["status"][field] == host["status"][field]
    assert tenant["spec"]["nodeName"] == host["spec"]["nodeName"]
    nodes = {node["metadata"]["name"] for node in place.get("nodes")["items"]}
    assert tenant["spec"]["nodeName"] in nodes
    assert place.hostname("bare") == "bare"
    place.kubectl("delete", "pod", "bare")
    eventually("no pod on the host", lambda: not place.on_host())


def test_a_deployment_scales_rolls_and_goes(place: Place) -> None:
    place.apply(deployment(web("web"), replicas=2))
    place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    first = set(place.on_host())
    assert len(first) == 2
    place.kubectl("set", "env", "deployment/web", "GENERATION=2")
    place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    eventually("only new pods", lambda: len(place.on_host()) == 2 and first.isdisjoint(place.on_host()))
    place.kubectl("scale", "deployment/web", "--replicas=1")
    eventually("one pod on the host", lambda: len(place.on_host()) == 1)
    place.kubectl("delete", "deployment/web")
    eventually("no pod on the host", lambda: not place.on_host())


def test_a_stateful_set_keeps_its_names_over_a_loss(place: Place) -> None:
    place.apply(controller("StatefulSet", web("db"), serviceName="db", replicas=2))
    place.kubectl("rollout", "status", "statefulset/db", "--timeout=60s")
    assert set(place.on_host()) == {"db-0", "db-1"}
    assert place.hostname("db-1") == "db-1"
    before = uid(place.pod("db-0"))
    place.kubectl("delete", "pod", "db-0")
    until_replaced(place, "db-0", before)
    assert set(place.on_host()) == {"db-0", "db-1"}


def test_a_daemon_set_has_a_pod_on_each_node_that_the_tenant_sees(place: Place) -> None:
    place.apply(pod("first"))
    place.wait("--for=condition=Ready", "pod/first")
    place.apply(controller("DaemonSet", web("agent")))

    def rolled_out() -> bool:
        """As many pods as nodes, each where its tenant pod says; other tests may add a node meanwhile."""
        status = place.get("daemonset", "agent")["status"]
        wanted: int = status.get("desiredNumberScheduled", 0)
        return 0 < wanted == int(status.get("numberReady", 0))

    eventually("a ready pod on each node", rolled_out)
    agents = [host for name, host in place.on_host().items() if name.startswith("agent-")]
    nodes = [host["spec"]["nodeName"] for host in agents]
    assert len(nodes) == len(set(nodes)), "two of one DaemonSet on a node"


def test_a_job_completes_and_its_pods_say_so(place: Place) -> None:
    place.apply(job("sum", "sh", "-c", "echo $((20 + 22))", completions=2, parallelism=2))
    place.wait("--for=condition=Complete", "job/sum")
    assert place.get("job", "sum")["status"]["succeeded"] == 2
    names = [pod["metadata"]["name"] for pod in place.get("pods", "-l", "job-name=sum")["items"]]
    assert [place.logs(name) for name in names] == ["42\n", "42\n"]


def test_a_job_that_fails_tells_the_exit_code(place: Place) -> None:
    place.apply(job("bad", "sh", "-c", "exit 7", backoffLimit=0))
    place.wait("--for=condition=Failed", "job/bad")
    (failed,) = place.get("pods", "-l", "job-name=bad")["items"]
    assert failed["status"]["phase"] == "Failed"
    assert failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7


def test_a_cron_job_starts_a_job_each_minute(working: Tenant) -> None:
    def succeeded() -> bool:
        jobs = working.get("jobs", "-n", "default")["items"]
        return "1" in {str(job["status"].get("succeeded")) for job in jobs}

    eventually("a job of the schedule", succeeded, seconds=90)
    assert working.get("cronjob", "tick", "-n", "default")["status"]["lastScheduleTime"]
