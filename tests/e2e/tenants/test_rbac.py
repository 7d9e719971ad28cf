"""What `vcp rbac` prints is what a CI account needs for `vcp run`: with it all works, without any rule of it
nothing is even begun."""

import json
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from .. import objects
from ..conftest import LabUser
from . import seen
from .conftest import Vcp

K8S = ("--set", "distro=k8s")
POD = json.dumps(objects.pod("one", "true", restartPolicy="Never"))
SCRIPT = "kubectl apply -f - && kubectl wait --for=jsonpath={.status.phase}=Succeeded pod/one --timeout=60s"


@pytest.fixture
def cluster_wide(lab: LabUser, namespace: str) -> Iterator[None]:
    """Whatever is made for accounts of the test's namespace goes afterwards."""
    yield
    names = lab.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").split()
    if mine := [name for name in names if f"/vcp-ci:{namespace}:" in name]:
        lab.kubectl("delete", *mine)


def job(lab: LabUser, folder: Path, namespace: str, account: str) -> Vcp:
    """`vcp` as a CI job has it: with a token of the account and nothing else."""
    folder.mkdir(exist_ok=True)
    vcp = Vcp(lab, folder)
    config = yaml.safe_load(vcp.kubeconfig.read_text())
    token = lab.kubectl("-n", namespace, "create", "token", account).strip()
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    vcp.kubeconfig.write_text(yaml.safe_dump(config))
    return vcp


def account(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def test_it_suffices_and_no_rule_is_needless(
    vcp: Vcp, namespace: str, cluster_wide: None, tmp_path: Path
) -> None:
    lab = vcp.lab
    printed = vcp.run("rbac", "--for", "ci", "--service-account", f"{namespace}/runner").stdout
    role, binding = yaml.safe_load_all(printed)
    parts: list[dict[str, Any]] = [role, binding, account("runner")]
    count = len(role["rules"])
    for number in range(count):
        text = printed.replace(f"{namespace}:runner", f"{namespace}:less-{number}")
        less, bound = yaml.safe_load_all(text.replace("name: runner", f"name: less-{number}"))
        del less["rules"][number]
        parts += [less, bound, account(f"less-{number}")]
    lab.apply(*parts, namespace=namespace)

    runner, evidence = job(lab, tmp_path / "runner", namespace, "runner"), tmp_path / "evidence"
    run = ("run", *K8S, "--collect", str(evidence), "--", "sh", "-c", f"{SCRIPT} && exit 42")
    done = runner.run(*run, stdin=POD, expect=42)
    assert not seen.runs(lab), done.stderr
    assert not (evidence / "missing.txt").exists(), (evidence / "missing.txt").read_text()
    assert list((evidence / "metrics").iterdir())

    def refused(number: int) -> str:
        poor = job(lab, tmp_path / str(number), namespace, f"less-{number}")
        return poor.run("run", *K8S, "--", "true", expect=4).stderr

    with ThreadPoolExecutor(4) as pool:
        for number, told in enumerate(pool.map(refused, range(count))):
            lost = role["rules"][number]
            rights = {(verb, plural) for verb in lost["verbs"] for plural in lost["resources"]}
            assert missed(told) == rights, told
    assert not seen.runs(lab)


def test_two_namespaces_that_an_administrator_made_suffice(
    vcp: Vcp, namespace: str, cluster_wide: None, tmp_path: Path
) -> None:
    """The account may make no namespace, and see nothing of any other; it leaves both as they were."""
    lab, work = vcp.lab, f"{namespace}-{secrets.token_hex(2)}"
    lab.kubectl("create", "namespace", work)
    try:
        refused = vcp.run("create", f"{namespace}-a", "-n", namespace, "--workload-namespace", work, expect=4)
        for place, level in ((namespace, "restricted"), (work, "baseline")):
            command = f"label --overwrite namespace {place} pod-security.kubernetes.io/enforce={level}"
            lab.kubectl(*command.split())
            assert command in refused.stderr or level == "baseline", refused.stderr
        places = ("-n", namespace, "--set", f"workloadNamespace={work}")
        printed = vcp.run("rbac", "--service-account", f"{namespace}/runner", *places).stdout
        lab.kubectl("-n", namespace, "create", "serviceaccount", "runner")
        lab.kubectl("apply", "-f", "-", stdin=printed)
        before = left(lab, namespace, work)
        runner = job(lab, tmp_path / "runner", namespace, "runner")
        runner.run("run", *places, *K8S, "--", "sh", "-c", SCRIPT, stdin=POD)
        assert left(lab, namespace, work) == before
        assert not seen.runs(lab)
        refused = runner.run("run", *K8S, "--", "true", expect=4)
        assert "create namespaces" in refused.stderr
    finally:
        lab.kubectl("delete", "namespace", work, "--wait=false")


def missed(told: str) -> set[tuple[str, str]]:
    """(verb, resource) of a refusal's lines, such as `  create, get roles.rbac.authorization.k8s.io in …`."""
    lines = re.findall(r"^  ((?:[a-z]+, )*[a-z]+) ([a-z/]+)", told, re.MULTILINE)
    return {(verb, resource) for verbs, resource in lines for verb in verbs.split(", ")}


def left(lab: LabUser, *namespaces: str) -> set[tuple[str, str, str]]:
    """What stands there, but what controllers clear away in their own time."""
    return {
        (obj["kind"], place, obj["metadata"]["name"])
        for place in namespaces
        for obj in seen.objects(lab, place)
        if "ownerReferences" not in obj["metadata"] and obj["kind"] not in {"Endpoints", "EndpointSlice"}
    }
