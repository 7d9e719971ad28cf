"""The environment of a container: the tenant's services and the tenant pod's own metadata.

The kubelet of the host would offer the host's services, so `enableServiceLinks` is off there and the
variables that a kubelet of the tenant would add (pkg/kubelet/envvars) stand in the pod.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from syncer.core import apis
from syncer.core.objects import Key, Obj
from syncer.core.pods import downward, references
from syncer.core.refusal import Problem
from syncer.core.scope import Scope

Variables = Mapping[str, Obj]
"""Entries of a container's `env` by name."""

_STORED = {"configMapRef": apis.CONFIG_MAPS, "secretRef": apis.SECRETS}


def problems(container: Obj, path: str) -> Iterator[Problem]:
    for index, variable in enumerate(container.get("env") or ()):
        if reference := (variable.get("valueFrom") or {}).get("fieldRef"):
            at = f"{path}.env[{index}].valueFrom.fieldRef.fieldPath"
            if problem := downward.problem(reference["fieldPath"], at, in_file=False):
                yield problem


def service_variables(tenant: Obj, scope: Scope) -> Variables:
    """What a kubelet of the tenant would tell every container of this pod, in the order of service names.

    `kubernetes` of namespace default is told to every pod, whatever its enableServiceLinks, unless a service
    of that name in its own namespace takes its place.
    """
    services: dict[str, tuple[str, list[Obj]]] = {}
    if scope.api_address:
        services["kubernetes"] = (scope.api_address, [{"name": "https", "port": 443}])
    namespace = tenant["metadata"]["namespace"]
    if tenant["spec"].get("enableServiceLinks") is not False:
        for service in scope.tenant.indexed(apis.SERVICES, "namespace", namespace):
            name, spec = service["metadata"]["name"], service["spec"]
            if spec.get("clusterIP", "None") in ("None", "") or not spec.get("ports"):
                continue
            if name != "kubernetes" or namespace != "default" or not scope.api_address:
                services[name] = (spec["clusterIP"], spec["ports"])
    return {
        variable: {"name": variable, "value": value}
        for name in sorted(services)
        for variable, value in _of_service(name, *services[name])
    }


def host_env(container: Obj, tenant: Obj, scope: Scope, services: Variables) -> list[Obj]:
    """The whole `env` of a host container: services first, so that the tenant's values may refer to them."""
    own = [_host_variable(variable, tenant, scope) for variable in container.get("env") or ()]
    hidden = _hidden(container, tenant, scope, services)
    if not hidden:
        return [*services.values(), *own]
    return [*(entry for name, entry in services.items() if name not in hidden), *own]


def host_env_from(sources: list[Obj], tenant: Obj, scope: Scope) -> list[Obj]:
    return [
        {
            field: references.renamed(value, ("name",), tenant, scope) if field in _STORED else value
            for field, value in source.items()
        }
        for source in sources
    ]


def _hidden(container: Obj, tenant: Obj, scope: Scope, services: Variables) -> set[str]:
    """The service variables that the container sets itself.

    In a kubelet, `env` overrides `envFrom`, and both override services. A service variable stands in `env`
    here, so it would override `envFrom`: it is left out if an object named there holds its key. (If that
    object appears later than the pod, the service's value stays.)
    """
    own = container.get("env") or ()
    hidden = {variable["name"] for variable in own if variable["name"] in services}
    if hidden:  # before its own definition, `$(NAME)` means the service's value
        text = "".join(variable.get("value", "") for variable in own)
        hidden = {name for name in hidden if f"$({name})" not in text}
    for source in container.get("envFrom") or ():
        for field, api in _STORED.items():
            if field not in source:
                continue
            key = Key(tenant["metadata"]["namespace"], source[field].get("name", ""))
            prefix = source.get("prefix", "")
            data = (scope.tenant.get(api, key) or {}).get("data") or ()
            hidden.update(name for each in data if (name := prefix + each) in services)
    return hidden


def _host_variable(variable: Obj, tenant: Obj, scope: Scope) -> Obj:
    source = variable.get("valueFrom")
    if not source:
        return variable
    if reference := source.get("fieldRef"):
        value = downward.literal(reference["fieldPath"], tenant)
        if value is None:
            return variable
        # The kubelet expands `$(NAME)` in literals, not in what a fieldRef yields.
        return {"name": variable["name"], "value": value.replace("$", "$$")}
    for field, _ in references.ENV:
        if field in source:
            renamed = references.renamed(source[field], ("name",), tenant, scope)
            return {**variable, "valueFrom": {field: renamed}}
    return variable


def _of_service(service: str, address: str, ports: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    prefix = service.upper().replace("-", "_")
    host = f"[{address}]" if ":" in address else address
    yield f"{prefix}_SERVICE_HOST", address
    yield f"{prefix}_SERVICE_PORT", str(ports[0]["port"])
    for port in ports:
        if name := port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{name.upper().replace('-', '_')}", str(port["port"])
    for index, port in enumerate(ports):
        number, protocol = port["port"], port.get("protocol") or "TCP"
        url = f"{protocol.lower()}://{host}:{number}"
        if index == 0:
            yield f"{prefix}_PORT", url
        link = f"{prefix}_PORT_{number}_{protocol.upper()}"
        yield link, url
        yield f"{link}_PROTO", protocol.lower()
        yield f"{link}_PORT", str(number)
        yield f"{link}_ADDR", address
