"""Whatever is killed, both sides agree afterwards: nothing twice, nothing missing, nothing left over."""

import contextlib
import random
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import images

from ..conftest import SOAK, LabUser, eventually, hack_lab
from ..objects import deployment, pod
from ..tenants.conftest import Tenant
from .conftest import agree, apply
from .killing import OwnSyncer, kill_containers

pytestmark = pytest.mark.alone
KILL_EVERY = 2.0
REPLICAS = 50 if SOAK else 20
CHAOS_SECONDS = 180.0 if SOAK else 45.0
SETTLED_WITHIN = 180.0


@pytest.mark.timeout(600)
def test_a_syncer_killed_every_two_seconds_ends_a_rollout_right(
    made: Callable[[], Tenant], tmp_path: Path
) -> None:
    tenant = made()
    syncer = OwnSyncer(tenant, tmp_path / "syncer")
    try:
        apply(tenant, deployment(pod("web"), replicas=REPLICAS))
        rollout = ["rollout", "status", "deployment/web", "--timeout=300s"]
        lives = _live_shortly(syncer, tenant, rollout)
        tenant.kubectl("set", "env", "deployment/web", "ROUND=2")
        lives += _live_shortly(syncer, tenant, rollout)
        print(f"{lives} lives")
        assert lives > (5 if SOAK else 2)
        syncer.start()
        eventually("both sides agree", lambda: agree(tenant), SETTLED_WITHIN)
        assert len(tenant.get("pods", "-l", "app=web")["items"]) == REPLICAS
    finally:
        syncer.give_back()


def _live_shortly(syncer: OwnSyncer, tenant: Tenant, until: list[str]) -> int:
    """Starts and kills the syncer until the command has succeeded; how often."""
    command = ["nsenter", f"--net={tenant.vcp.lab.lab.namespace}", "kubectl", "--context", tenant.context]
    done = subprocess.Popen([*command, *until], env=tenant.vcp.environment, stdout=subprocess.DEVNULL)
    lives = 0
    while done.poll() is None:
        syncer.start()
        with contextlib.suppress(subprocess.TimeoutExpired):
            done.wait(KILL_EVERY)
        syncer.kill()
        lives += 1
    assert done.returncode == 0, " ".join(until)
    return lives


@pytest.mark.timeout(900)
def test_chaos_leaves_nothing_missing_and_nothing_over(lab: LabUser, made: Callable[[], Tenant]) -> None:
    """Random work in two tenants while everything dies in turn."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    tenants = [made(), made()]
    victims: list[Callable[[Tenant], object]] = [
        lambda tenant: kill_containers(tenant, "syncer"),
        lambda tenant: kill_containers(tenant, "api"),
        lambda tenant: kill_containers(tenant, "etcd"),
        lambda _: restart_host_api(lab),
    ]
    end = time.monotonic() + CHAOS_SECONDS
    next_kill, turn = time.monotonic() + 10, 0
    while time.monotonic() < end:
        for tenant in tenants:
            _one_act(tenant, chance)
        if time.monotonic() > next_kill:
            victims[turn % len(victims)](tenants[chance.randrange(2)])
            turn += 1
            next_kill = time.monotonic() + chance.uniform(8, 20)
    assert turn > (5 if SOAK else 1)
    for tenant in tenants:
        eventually(f"{tenant.name} agrees with the host", lambda t=tenant: _agrees(lab, t), SETTLED_WITHIN)  # type: ignore[misc]


def _agrees(lab: LabUser, tenant: Tenant) -> bool:
    lab.revive()
    return agree(tenant)


def restart_host_api(lab: LabUser) -> None:
    lab.cluster.daemons.stop("kube-apiserver")
    hack_lab("up", name=lab.lab.name)


def _one_act(tenant: Tenant, chance: random.Random) -> None:
    """One random thing that a user does; while an API is away it fails, as it would for them."""
    name = f"o-{chance.randrange(8)}"
    namespace = ("-n", "default")
    act = chance.randrange(7)
    if act == 0:
        mounts = {
            "volumes": [{"name": "c", "configMap": {"name": name, "optional": True}}],
            "container": {"volumeMounts": [{"name": "c", "mountPath": "/c"}]},
        }
        apply(tenant, pod(name, image=images.TOOLS, **mounts), check=False)
    elif act == 1:
        grace = chance.choice(("0", "1", "3"))
        forced = ("--force",) if grace == "0" else ()
        tenant.kubectl(
            *namespace, "delete", "pod", name, f"--grace-period={grace}", *forced, "--wait=false", check=False
        )
    elif act == 2:
        tenant.kubectl(
            *namespace, "label", "--overwrite", "pod", name, f"round={chance.randrange(100)}", check=False
        )
    elif act == 3:
        data = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}
        apply(tenant, data | {"data": {"k": str(chance.random())}}, check=False)
    elif act == 4:
        tenant.kubectl(*namespace, "delete", "configmap", name, "--wait=false", check=False)
    elif act == 5:
        apply(tenant, deployment(pod("many"), replicas=chance.randrange(6)), check=False)
    else:
        tenant.kubectl(*namespace, "rollout", "restart", "deployment/many", check=False)
