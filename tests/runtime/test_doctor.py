"""`vcp doctor` from end to end on a fake host, and what its probe pods run, over real sockets."""

import copy
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeapi import FakeApi
from faketenant import CREATE, Tenant
from hostcli import HostCli

from vcp.doctor import probe


async def levels(cli: HostCli, *args: str, code: int = 0) -> dict[str, tuple[str, str]]:
    """check -> level, found."""
    result = await cli("doctor", *args, "-o", "json")
    assert result.code == code, result.out + result.err
    return {one["check"]: (one["level"], one["found"]) for one in json.loads(result.out)}


async def test_a_host_without_probes(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    before = set(api.objects)
    found = await levels(cli, "--no-probe")
    assert list(found) == ["version", "permissions", "storage", "service CIDR", "latency", "metrics API"]
    assert {check for check, (level, _) in found.items() if level != "ok"} == {"metrics API"}
    assert set(api.objects) == before
    assert (await cli("doctor", "--no-probe", "-o", "name")).out == "metrics API\n"
    api.denied.add(("create", "statefulsets"))
    text = await cli("doctor", "--no-probe")
    assert text.code == 7
    assert "broken   permissions: you may not: create statefulsets.apps in namespace vcp-doctor" in text.out
    assert "1 broken, 1 warnings" in text.err


async def test_who_may_not_make_a_namespace_gets_the_other_answers(
    api: FakeApi, cli: HostCli, tenant: Tenant
) -> None:
    api.denied.add(("create", "namespaces"))
    found = await levels(cli, code=7)
    assert found["version"][0] == "ok"
    assert found["probe pods"] == (
        "warning",
        "not checked: namespaces is forbidden: cannot create namespaces",
    )


async def test_probes_that_fail_leave_nothing(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    before = set(api.objects)
    api.fail_next("POST /api/v1/namespaces/vcp-doctor-", 400, message="no probes today")
    assert (await levels(cli))["probe pods"] == ("warning", "not checked: no probes today")
    assert set(api.objects) == before


async def test_a_tenant_whose_objects_were_edited(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    assert (await cli(*CREATE)).code == 0
    found = await levels(cli, "a", code=7)
    assert found["sync lag"] == ("broken", "no pod of the syncer leads")  # the fake host runs none
    assert {found[check][0] for check in ("control plane", "certificates", "drift", "orphans")} == {"ok"}

    edited = copy.deepcopy(api.find("deployments", "dns", "vcp-a"))
    assert edited
    edited["spec"]["replicas"] = 3
    api.put("deployments", edited)
    drifted = await levels(cli, "a", code=7)
    assert drifted["drift"] == ("warning", "Deployment dns in vcp-a: spec.replicas is 3, not 1")

    api.remove("networkpolicies", "vcp-deny", "vcp-a")
    orphan = {"vcp.dev/name": "gone", "vcp.dev/uid": "u"}
    labels = {"vcp.dev/tenant": "a", "vcp.dev/namespace": "default"}
    meta = {"name": "gone-x", "namespace": "vcp-a-work", "labels": labels, "annotations": orphan}
    api.put("configmaps", {"metadata": meta})
    found = await levels(cli, "a", code=7)
    assert found["drift"][0] == "broken"
    assert "NetworkPolicy vcp-deny in vcp-a is not there" in found["drift"][1]
    assert found["orphans"] == ("warning", "ConfigMap gone-x (for configmaps default/gone)")
    assert api.find("networkpolicies", "vcp-deny", "vcp-a") is None  # nothing was changed


async def test_a_host_that_does_not_answer(api: FakeApi, cli: HostCli) -> None:
    api.down = True
    result = await cli("doctor")
    assert (result.code, result.out) == (6, ""), result.err


async def test_a_tenant_that_is_not_there(api: FakeApi, cli: HostCli, tenant: Tenant) -> None:
    assert (await cli("doctor", "nobody")).code == 3


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_the_probe_tells_open_from_closed(
    listening: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setattr(probe, "CLOSED", unused.getsockname()[1])
        monkeypatch.setattr(probe, "OPEN", listening)
        monkeypatch.setattr(probe, "LAST_WORDS", str(tmp_path / "words"))
        monkeypatch.setattr(probe, "PATIENCE", 0.1)
        monkeypatch.setattr(probe, "SETTLE", 0.1)
        probe.main("ask", "localhost", "127.0.0.1", "127.0.0.1")
        told = json.loads((tmp_path / "words").read_text())
        assert told.pop("dns_seconds") < 5
        assert "127.0.0.1" in told.pop("dns")
        assert told == {"service": True, "pod": True, "blocked": True}
        assert probe.ask("no-such-name.invalid", "127.0.0.1", "127.0.0.1")["dns"] == []
        assert probe.caged("127.0.0.1") == {"blocked": False}
