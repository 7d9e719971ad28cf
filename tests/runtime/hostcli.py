"""Runs the command line in a thread against a fake host, and a tenant for it to find there."""

import asyncio
import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from fakeapi import FakeApi

import vcp.cli


class Result(NamedTuple):
    code: int
    out: str
    err: str


@contextlib.asynccontextmanager
async def bounded(seconds: float, *command: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process whose output is read by the body; it does not outlive the body, nor so many seconds."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, **options
    )
    try:
        async with asyncio.timeout(seconds):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class HostCli:
    """`await cli("list", "-o", "name")` is what the console script does, exit code included."""

    def __init__(self, api: FakeApi, folder: Path) -> None:
        self.api = api
        self.kubeconfig = folder / "kubeconfig"
        cluster = {"name": "c", "cluster": {"server": api.url}}
        context = {"name": "host", "context": {"cluster": "c", "namespace": "mine"}}
        config = {"current-context": "host", "clusters": [cluster], "contexts": [context]}
        self.kubeconfig.write_text(yaml.safe_dump(config))

    async def __call__(self, *args: str) -> Result:
        return await asyncio.to_thread(self._run, ("--kubeconfig", str(self.kubeconfig), *args))

    @staticmethod
    def _run(args: tuple[str, ...]) -> Result:
        out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                vcp.cli.main(args)
            except SystemExit as exit_:
                code = exit_.code
        assert isinstance(code, int)
        return Result(code, out.buffer.getvalue().decode(), err.getvalue())  # type: ignore[attr-defined]


def labelled(tenant: str, component: str = "") -> dict[str, str]:
    labels = {"app.kubernetes.io/part-of": "vcp", "vcp.dev/tenant": tenant}
    return labels | ({"vcp.dev/component": component} if component else {})


def workload(name: str, namespace: str, tenant: str, ready: int = 1) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": name, "image": f"example/{name}:1"}]}}
    return {
        "kind": "StatefulSet" if name == "etcd" else "Deployment",
        "metadata": {"name": name, "namespace": namespace, "generation": 1, "labels": labelled(tenant, name)},
        "spec": {"replicas": 1, "template": template},
        "status": {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": ready},
    }


def pod(name: str, namespace: str, tenant: str, component: str) -> dict[str, Any]:
    statuses = [{"name": component, "restartCount": 2, "state": {"running": {}}}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labelled(tenant, component)},
        "spec": {"containers": [{"name": component}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": statuses,
        },
    }


def put_tenant(
    api: FakeApi,
    name: str,
    *,
    ready: int = 1,
    published: bool = True,
    made: bool = True,
    expires: str = "2099-01-01T00:00:00Z",
    **spec: Any,
) -> str:
    """A tenant as `vcp create` leaves it; returns the control-plane namespace."""
    namespace, work = f"vcp-{name}", f"vcp-{name}-work"
    mark = {"vcp.dev/made-namespace": "true", "vcp.dev/control-namespace": namespace} if made else {}
    for one in (namespace, work):
        api.put("namespaces", {"metadata": {"name": one, "labels": labelled(name) | mark}})
    spec = {"name": name, "distro": "k3s", "version": "v1.36.3", "workloadNamespace": work, **spec}
    notes = {"vcp.dev/certificates-expire": expires} | ({"vcp.dev/published": "yes"} if published else {})
    meta = {"name": "control-plane", "namespace": namespace, "labels": labelled(name), "annotations": notes}
    meta["creationTimestamp"] = "2026-01-01T00:00:00Z"
    data = {"spec.json": base64.b64encode(json.dumps(spec).encode()).decode()}
    api.put("secrets", {"metadata": meta, "data": data})
    api.put("statefulsets", workload("etcd", namespace, name))
    api.put("deployments", workload("api", namespace, name, ready))
    api.put("pods", pod("api-0", namespace, name, "api"))
    service = {"type": "ClusterIP", "clusterIP": "10.43.0.9", "ports": [{"port": 443}]}
    meta = {"name": "api", "namespace": namespace, "labels": labelled(name, "api")}
    api.put("services", {"metadata": meta, "spec": service})
    return namespace
