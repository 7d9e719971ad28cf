"""What a site consists of: a ConfigMap with its page, a Deployment that serves it, a Service in front."""

import hashlib

from hooks import GROUP


def objects(site, image):
    """Each as (path with a gap for the namespace, manifest)."""
    name, text = f"site-{site['metadata']['name']}", site["spec"]["page"]["text"]
    labels = {"site": site["metadata"]["name"]}
    metadata = {"name": name, "ownerReferences": [owner(site)]}
    port = {"name": "http", "port": 80, "targetPort": 8080}
    template = {
        "metadata": {"labels": labels, "annotations": {f"{GROUP}/page": digest(text)}},
        "spec": pod(name, image),
    }
    replicas = {"replicas": site["spec"].get("size", 1), "selector": {"matchLabels": labels}}
    return [
        (
            f"/api/v1/namespaces/%s/configmaps/{name}",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"index.html": text}},
        ),
        (
            f"/api/v1/namespaces/%s/services/{name}",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": labels, "ports": [port]},
            },
        ),
        (
            f"/apis/apps/v1/namespaces/%s/deployments/{name}",
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": metadata,
                "spec": {**replicas, "template": template},
            },
        ),
    ]


def owner(site):
    """What makes the garbage collector remove an object with its site."""
    return {
        "apiVersion": site["apiVersion"],
        "kind": "Site",
        "name": site["metadata"]["name"],
        "uid": site["metadata"]["uid"],
        "controller": True,
    }


def digest(text):
    """In the template, it makes new pods of a new page."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pod(name, image):
    container = {
        "name": "web",
        "image": image,
        "command": ["python3", "-m", "http.server", "8080", "--directory", "/page"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "page", "mountPath": "/page"}],
    }
    volume = {"name": "page", "configMap": {"name": name}}
    return {"terminationGracePeriodSeconds": 1, "containers": [container], "volumes": [volume]}
