"""Small Kubernetes objects that tests put on a cluster, from the images that the lab has."""

from typing import Any

from labkit import images

LIMITED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 1000,
}


def pod(name: str, *command: str, image: str = images.TOOLS, **spec: Any) -> dict[str, Any]:
    """A pod with one container, `main`; without a command it idles."""
    container: dict[str, Any] = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": list(command) or ["sleep", "infinity"],
        "securityContext": LIMITED,
    } | spec.pop("container", {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]} | spec,
    }


def web(name: str, **spec: Any) -> dict[str, Any]:
    """A pod that answers HTTP on port 8080; `/hostname` says its name, `/clientip` who asks."""
    http = {"command": ["/usr/local/bin/agnhost", "netexec", "--http-port=8080", "--udp-port=-1"]}
    probe = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}
    return pod(name, image=images.AGNHOST, container=http | probe, **spec)


def deployment(of: dict[str, Any], replicas: int = 1) -> dict[str, Any]:
    """A Deployment whose pods are like the given one."""
    name = of["metadata"]["name"]
    template = {"metadata": {"labels": of["metadata"]["labels"]}, "spec": of["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    """A Service on port 80 in front of the pods that are called like it."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports} | spec,
    }


def claim(name: str, size: str = "16Mi") -> dict[str, Any]:
    """A PersistentVolumeClaim of the default StorageClass."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
