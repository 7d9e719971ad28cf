"""The Services by which the parts find each other, the Secrets, and the Deployment that the distro fills."""

import json
from collections.abc import Iterable

import yaml

from kube.objects import Obj
from vcp import distros, layout, pki
from vcp.distros import pod as parts
from vcp.render import resolving
from vcp.render.encoding import CHECKSUM, checksum, secret_data
from vcp.render.manifests import component_of, objects, pod_template, spread
from vcp.spec import Spec

_POD_NAME = "statefulset.kubernetes.io/pod-name"
_SERVICE_TYPES = {"cluster-ip": "ClusterIP", "node-port": "NodePort", "load-balancer": "LoadBalancer"}


def services(spec: Spec) -> list[Obj]:
    """All that is reached by an address; only the API may be from outside."""
    found = objects(spec, "access")
    components = {"api": "api", "dns": "dns", "syncer": "syncer", "kubelet": "syncer", "etcd": "etcd"}
    for name, component in components.items():
        found[f"Service/{name}"]["spec"]["selector"] = layout.selector(spec, component)
    found |= _members(found["Service/etcd"], spec)
    own = found["Service/api"]
    own["spec"]["type"] = _SERVICE_TYPES[spec.expose.type]
    if spec.expose.annotations:
        own["metadata"]["annotations"] = dict(spec.expose.annotations)
    return list(found.values())


def _members(etcd: Obj, spec: Spec) -> dict[str, Obj]:
    """A Service for each of several members, with the name of its pod."""
    own = {name for name in resolving.of_etcd(spec).values() if name != "etcd"}
    return {
        f"Service/{name}": {
            **etcd,
            "metadata": {**etcd["metadata"], "name": name},
            "spec": {**etcd["spec"], "selector": {**etcd["spec"]["selector"], _POD_NAME: name}},
        }
        for name in sorted(own)
    }


def secrets(spec: Spec, material: pki.Material) -> list[Obj]:
    """The authorities' keys first: what else is lost in a crash can then be made again."""
    (encryption,) = objects(spec, "secrets").values()
    key = material.files[pki.ENCRYPTION_KEY]
    encryption["data"] = secret_data({"encryption.yaml": _encryption(spec, key), pki.ENCRYPTION_KEY: key})
    return [
        *(
            _secret(spec, name, secret_data(files))
            for name, files in pki.bundles(spec, material.files).items()
        ),
        encryption,
    ]


def _secret(spec: Spec, name: str, data: dict[str, str]) -> Obj:
    labels = layout.labels(spec, component_of(name))
    metadata = {"name": name, "namespace": spec.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def _encryption(spec: Spec, key: bytes) -> bytes:
    """The first provider writes, all of them read: what is stored stays readable when it is switched."""
    ours: Obj = {"secretbox": {"keys": [{"name": "vcp", "secret": key.decode()}]}}
    plain: Obj = {"identity": {}}
    config = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {"resources": ["secrets"], "providers": [ours, plain] if spec.encrypt_secrets else [plain, ours]}
        ],
    }
    return _yaml(config).encode()


def api(spec: Spec, service_cidr: str, sans: tuple[str, ...], ips: resolving.ClusterIps) -> list[Obj]:
    found = objects(spec, "api")
    config, deployment = found["ConfigMap/api"], found["Deployment/api"]
    selector = layout.selector(spec, "api")
    share = distros.of(spec).pod(spec, service_cidr, sans)
    config["data"] = {
        name: _text(name, content) for name, content in {**parts.files(spec), **share.files}.items()
    }
    deployment["spec"]["replicas"] = spec.replicas
    pod = pod_template(deployment, spec, "api")
    if share.init_containers:
        pod["initContainers"] = share.init_containers
    pod["containers"] = share.containers
    pod["volumes"] = share.volumes
    resolving.fix(pod, resolving.of_api(spec), ips)
    if spec.replicas > 1:
        pod["terminationGracePeriodSeconds"] += 5  # for as long such a replica serves on
        pod["topologySpreadConstraints"] = spread(selector)
        found["PodDisruptionBudget/api"]["spec"]["selector"] = {"matchLabels": selector}
    else:
        del found["PodDisruptionBudget/api"]
    return list(found.values())


def follow(workloads: Iterable[Obj], sources: Iterable[Obj]) -> None:
    """Makes pods roll when what they mount changes."""
    sources = list(sources)
    for obj in workloads:
        if "template" in obj.get("spec", {}):
            template = obj["spec"]["template"]
            template["metadata"]["annotations"] = {CHECKSUM: checksum(template["spec"], sources)}


def _text(name: str, content: Obj) -> str:
    return json.dumps(content) + "\n" if name.endswith(".json") else _yaml(content)


def _yaml(value: Obj) -> str:
    return yaml.safe_dump(value, sort_keys=False)


def kubeconfig_secret(spec: Spec, text: str) -> Obj:
    return _secret(spec, layout.KUBECONFIG, secret_data({"kubeconfig": text.encode()}))
