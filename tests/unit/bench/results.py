"""Results of a bench as its measurements return them, with numbers that are easy to check."""

from typing import Any

MIB = 1 << 20
ABOUT = {
    "at": "2026-01-01T00:00:00+00:00",
    "commit": "abc1234",
    "machine": {
        "cpus": 2,
        "memory_gib": 16.0,
        "kernel": "6.18",
        "kubernetes": "v1.36.3",
        "nodes": 1,
        "load": [0.1, 0.2, 0.3],
    },
}


def shares(p50: float) -> dict[str, float]:
    return {"p50": p50, "p90": p50 * 2, "p99": p50 * 3}


def spread(middle: float) -> dict[str, float]:
    return {"median": middle, "least": middle - 1, "most": middle + 1}


def results() -> dict[str, Any]:
    """All measurements but the smoke counts."""
    return {name: {**ABOUT, **one} for name, one in _measured().items()}


def _measured() -> dict[str, dict[str, Any]]:
    created = {name: spread(9.0) for name in ("usable", "returned", "deleted")} | {"pod": spread(11.0)}
    idle = {"syncer": 40 * MIB, "tenant API server": 200 * MIB}
    steps = {"answered": shares(0.005), "bound": shares(0.012), "running": shares(0.020)}
    slower = {name: shares(values["p50"] * 3) for name, values in steps.items()}
    fair = {name: shares(0.5) for name in ("small alone", "small beside greedy", "greedy")}
    sizes = [{"syncer": (40 + pods / 100) * MIB, "host etcd": 90 * MIB} for pods in (0, 100)]
    stream = {"cpu": {"syncer": 1.5}, "syncer_memory_before": 40 * MIB, "syncer_memory": 50 * MIB}
    logs = {arm: {**stream, "lines": 100, "latency": shares(0.002)} for arm in ("direct", "tenant")}
    execs = {arm: {**stream, "opened": shares(0.1), "echo": shares(0.004)} for arm in ("direct", "tenant")}
    killed = {
        "process": 0.5,
        "own": 1.0,
        "in_step": 1.5,
        "settled": 1.6,
        "new_pod": 1.7,
        "complete": True,
        "writes": {"host create pods": 1.0},
        "host_pods_touched": 0,
        "tenant_api_away": 0.1,
        "syncer_memory": 50 * MIB,
    }
    sampled = {
        "samples": 10,
        "waited": 90,
        "own": [("plan (syncer/core/pods/plan.py)", 7), ("main (syncer/__main__.py)", 3)],
        "packages": [("syncer.core", 7), ("syncer", 3)],
        "tree": {"main (syncer/__main__.py)": [10, {"plan (syncer/core/pods/plan.py)": [7, {}]}]},
        "complete": True,
    }
    return {
        "create": {
            "repeat": 3,
            "alone": {**created, "steps": {"API": 6.0}},
            "together": {"tenants": 5, **created, "steps": {"API": 9.0}},
            "idle": {
                "memory": idle,
                "private": idle,
                "working": idle,
                "cpus": {"syncer": 0.01, "tenant API server": 0.02},
            },
        },
        "latency": {
            "pods": 10,
            "direct": steps,
            "tenant": slower,
            "gone": {"direct": shares(0.01), "tenant": shares(0.03)},
            "parts": {"tenant API: create to its answer": shares(0.005)},
            "servers": {"syncer: wait in the queue": 0.0002},
            "values": {"direct": [0.02, 0.03], "tenant": [0.05, 0.06]},
        },
        "throughput": {"cells": [_cell()], "missing": [{"pods": 5000, "tenants": 1, "why": "no time"}]},
        "fairness": {
            "greedy_pods": 100,
            "small_pods": 10,
            "small_tenants": 3,
            "direct": fair,
            "tenant": fair,
        },
        "memory": {
            "points": [
                {"pods": pods, "memory": size, "working": size}
                for pods, size in zip((0, 100), sizes, strict=True)
            ],
            "per_pod": {"syncer": MIB / 100, "host etcd": 0.0},
        },
        "restart": {"pods": 100, "repeat": 1, "runs": [killed]},
        "streams": {
            "streams": 20,
            "pods": 10,
            "logs": logs,
            "execs": execs,
            "bulk": {"direct": [100.0, 110.0], "tenant": [50.0, 60.0]},
        },
        "profile": {"pods": 100, "per_second": 100, "creates": sampled, "deletes": sampled},
    }


def _cell() -> dict[str, Any]:
    def run(rate: float, **cpu: float) -> dict[str, Any]:
        cost = {"host apiserver": 10.0, "others": 5.0, "load generator": 1.0} | {
            name.replace("_", " "): seconds for name, seconds in cpu.items()
        }
        part = {"rate": rate, "cpu": cost, "complete": True, "ready": shares(1.0), "curve": [(1.0, 100)]}
        return {"creates": part, "deletes": part, "memory": {"host apiserver": 300 * MIB}}

    direct, through = run(60.0), run(30.0, syncer=5.0, tenant_etcd=10.0)
    ratio = {"median": 0.5, "least": 0.5, "most": 0.5}
    return {
        "pods": 100,
        "tenants": 1,
        "repeat": 1,
        "runs": {"direct": [direct], "tenant": [through]},
        "ratio": {"creates": ratio, "deletes": ratio},
    }
