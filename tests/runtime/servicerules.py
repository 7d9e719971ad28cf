"""What an API server does for Services beyond storing them: it allots addresses and ports, once each, and
takes back what another type has no use for."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kube.objects import Obj


class TakenError(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: Invalid value: {message}")
        self.field = field


class Allotment:
    """Addresses from `first` on of 10.43.0.0/16, ports from 30000 on; `services` gives all there are."""

    def __init__(self, first: int = 1) -> None:
        self._addresses = (f"10.43.{number // 256}.{number % 256}" for number in itertools.count(first))
        self._ports = itertools.count(30000 + first)
        self.others: set[object] = set()
        """Addresses and ports that Services have which are not to be seen."""

    def admit(self, services: Iterable[Obj], old: Obj | None, new: Obj) -> None:
        """Completes `new`, which replaces `old`. Raises TakenError."""
        spec, before = new["spec"], old["spec"] if old else {}
        spec.setdefault("type", "ClusterIP")
        taken = self.others | {value for one in services if one is not old for value in _held(one["spec"])}
        self._address(spec, before, taken)
        for index, port in enumerate(spec.get("ports") or ()):
            self._port(spec, port, before, taken, f"spec.ports[{index}].nodePort")
        if spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
            spec.setdefault("healthCheckNodePort", next(self._ports))
        else:
            spec.pop("healthCheckNodePort", None)
        if spec["type"] != "LoadBalancer":
            new.get("status", {}).pop("loadBalancer", None)

    def _address(self, spec: Obj, before: Obj, taken: set[object]) -> None:
        if spec["type"] == "ExternalName":
            for field in ("clusterIP", "clusterIPs"):
                spec.pop(field, None)
            return
        address, had = spec.get("clusterIP"), before.get("clusterIP")
        if had and address and had != address:
            raise TakenError("spec.clusterIP", "field is immutable")
        address = address or had
        if address in taken - {"None"}:
            raise TakenError(
                "spec.clusterIPs", f"failed to allocate IP {address}: provided IP is already allocated"
            )
        spec["clusterIP"] = address or next(one for one in self._addresses if one not in taken)
        spec["clusterIPs"] = [spec["clusterIP"]]

    def _port(self, spec: Obj, port: Obj, before: Obj, taken: set[object], field: str) -> None:
        if spec["type"] not in {"NodePort", "LoadBalancer"}:
            port.pop("nodePort", None)
            return
        had = {one.get("name"): one.get("nodePort") for one in before.get("ports") or ()}
        number = port.get("nodePort") or had.get(port.get("name"))
        if number in taken:
            raise TakenError(field, "provided port is already allocated")
        port["nodePort"] = number or next(one for one in self._ports if one not in taken)


def _held(spec: Mapping[str, Any]) -> Iterator[object]:
    if spec.get("clusterIP", "None") != "None":
        yield spec["clusterIP"]
    yield from (port["nodePort"] for port in spec.get("ports") or () if "nodePort" in port)
