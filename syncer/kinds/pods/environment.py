"""The environment of a container: the tenant's services and the tenant pod's own metadata.

The kubelet of the host would offer the host's services, so `enableServiceLinks` is off there, and pods read
the variables that a kubelet of the tenant would add (pkg/kubelet/envvars) from a ConfigMap (`servicelinks`).
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

from kube import apis
from kube.apis import ApiResource
from kube.objects import Key, Obj
from syncer.core.refusal import Problem
from syncer.core.scope import Scope
from syncer.kinds.pods import downward

Variables = Mapping[str, str]
"""Values by name."""

_Ports = tuple[tuple[str, int, str], ...]
"""(name or empty, number, protocol) of each port of a service."""

_STORED = {"configMapRef": apis.CONFIG_MAPS, "secretRef": apis.SECRETS}


def problems(container: Obj, path: str) -> Iterator[Problem]:
    for index, variable in enumerate(container.get("env") or ()):
        if reference := (variable.get("valueFrom") or {}).get("fieldRef"):
            at = f"{path}.env[{index}].valueFrom.fieldRef.fieldPath"
            if found := downward.problem(reference["fieldPath"], at, in_file=False):
                yield found


def service_variables(tenant: Obj, scope: Scope) -> Variables:
    """What a kubelet of the tenant would tell every container of this pod, in the order of service names.

    `kubernetes` of namespace default is told to every pod, whatever its enableServiceLinks, unless a service
    of that name in its own namespace takes its place.
    """
    services: dict[str, tuple[str, _Ports]] = {}
    if scope.api_address:
        services["kubernetes"] = (scope.api_address, (("https", 443, "TCP"),))
    namespace = tenant["metadata"]["namespace"]
    if tenant["spec"].get("enableServiceLinks") is not False:
        for service in scope.tenant.indexed(apis.SERVICES, "namespace", namespace):
            name, spec = service["metadata"]["name"], service["spec"]
            if spec.get("clusterIP", "None") in ("None", "") or not spec.get("ports"):
                continue
            if name != "kubernetes" or namespace != "default" or not scope.api_address:
                ports = (
                    (port.get("name", ""), port["port"], port.get("protocol") or "TCP")
                    for port in spec["ports"]
                )
                services[name] = (spec["clusterIP"], tuple(ports))
    variables: dict[str, str] = {}
    for name in sorted(services):
        variables |= _of_service(name, *services[name])
    return variables


def host_env(container: Obj, tenant: Obj) -> list[Obj]:
    """The `env` of a host container but for the names of what it refers to."""
    return [_host_variable(variable, tenant) for variable in container.get("env") or ()]


def stored(container: Obj, tenant: Obj, scope: Scope) -> Iterator[tuple[str, ApiResource, str]]:
    """The variables that `envFrom` brings as far as its objects are known, in their order: name, which kind
    of object holds it, and its text there, a Secret's in base64."""
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix") or ""
        for field, api in _STORED.items():
            if field in source:
                data = data_of(api, source[field], tenant, scope)
                yield from ((prefix + name, api, text) for name, text in data.items())


def data_of(api: ApiResource, reference: Obj, tenant: Obj, scope: Scope) -> Mapping[str, str]:
    """What the ConfigMap or Secret of the tenant holds that a container refers to by name; empty if there is
    none."""
    key = Key(tenant["metadata"]["namespace"], reference.get("name", ""))
    data: Mapping[str, str] = (scope.tenant.get(api, key) or {}).get("data") or {}
    return data


def _host_variable(variable: Obj, tenant: Obj) -> Obj:
    source = variable.get("valueFrom")
    if not source:
        return variable
    if reference := source.get("fieldRef"):
        value = downward.literal(reference["fieldPath"], tenant)
        if value is None:
            return variable
        # The kubelet expands `$(NAME)` in literals, not in what a fieldRef yields.
        return {"name": variable["name"], "value": value.replace("$", "$$")}
    return variable


@lru_cache(maxsize=1024)  # every pod of a namespace is told the same
def _of_service(service: str, address: str, ports: _Ports) -> Variables:
    return dict(_lines(service, address, ports))


def _lines(service: str, address: str, ports: _Ports) -> Iterator[tuple[str, str]]:
    prefix = service.upper().replace("-", "_")
    host = f"[{address}]" if ":" in address else address
    yield f"{prefix}_SERVICE_HOST", address
    yield f"{prefix}_SERVICE_PORT", str(ports[0][1])
    for name, number, _ in ports:
        if name:
            yield f"{prefix}_SERVICE_PORT_{name.upper().replace('-', '_')}", str(number)
    for index, (_, number, protocol) in enumerate(ports):
        url = f"{protocol.lower()}://{host}:{number}"
        if index == 0:
            yield f"{prefix}_PORT", url
        link = f"{prefix}_PORT_{number}_{protocol.upper()}"
        yield link, url
        yield f"{link}_PROTO", protocol.lower()
        yield f"{link}_PORT", str(number)
        yield f"{link}_ADDR", address
