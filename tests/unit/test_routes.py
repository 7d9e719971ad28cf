"""Which addresses lead to a tenant's API server, best first."""

from typing import Any

from vcp.routes import Route, candidates

NAME = "api.vcp-a.svc"
NODE = {
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": "10.0.0.1"},
            {"type": "ExternalIP", "address": "198.51.100.1"},
            {"type": "Hostname", "address": "node-1"},
        ]
    }
}


def service(type_: str, **status: Any) -> dict[str, Any]:
    port = {"port": 443, "targetPort": 6443} | ({} if type_ == "ClusterIP" else {"nodePort": 30443})
    return {"spec": {"type": type_, "clusterIP": "10.43.0.9", "ports": [port]}, "status": status}


CLUSTER_IP = Route("cluster IP", "https://10.43.0.9:443", NAME)


def test_a_cluster_ip() -> None:
    assert candidates(service("ClusterIP"), [NODE], NAME) == [CLUSTER_IP]
    headless = service("ClusterIP")
    headless["spec"]["clusterIP"] = "None"
    assert candidates(headless, [], NAME) == []


def test_node_ports_prefer_external_addresses() -> None:
    assert candidates(service("NodePort"), [NODE], NAME) == [
        Route("node port", "https://198.51.100.1:30443", NAME),
        Route("node port", "https://10.0.0.1:30443", NAME),
        CLUSTER_IP,
    ]


def test_a_load_balancer_comes_first_once_it_has_an_address() -> None:
    ready = service("LoadBalancer", loadBalancer={"ingress": [{"ip": "fd00::1"}, {"hostname": "lb.example"}]})
    assert candidates(ready, [NODE], NAME) == [
        Route("load balancer", "https://[fd00::1]:443", NAME),
        Route("load balancer", "https://lb.example:443", NAME),
        CLUSTER_IP,
    ]
    assert candidates(service("LoadBalancer"), [NODE], NAME) == [CLUSTER_IP]
