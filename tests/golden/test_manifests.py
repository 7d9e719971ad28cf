"""Each folder of manifests/ is a case: spec.yaml goes in, everything else comes out.

`UPDATE_GOLDEN=1 pytest tests/golden` writes what comes out, for a reviewer to read.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from vcp import pki, render
from vcp.spec import load

HERE = Path(__file__).parent / "manifests"
CASES = sorted(path.parent for path in HERE.glob("*/spec.yaml"))


class _Readable(yaml.SafeDumper):
    """Lists indented, long lines whole, no aliases: as a person writes manifests."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(data: Any, *, many: bool = False) -> str:
    return yaml.dump_all(data if many else [data], Dumper=_Readable, sort_keys=False, width=1000)


def expect(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


def outcome(case: Path) -> tuple[render.Step, ...]:
    """The steps, with the name of each piece of key material in its place."""
    spec = load((case / "spec.yaml").read_text())
    facts = render.Facts(
        service_cidr=spec.service_cidr or "10.43.0.0/16",
        cluster_ips={
            "api": "10.43.1.2",
            "dns": "10.43.1.3",
            **{f"etcd-{index}": f"10.43.1.1{index}" for index in range(3)},
            "etcd": "10.43.1.9",
            "syncer": "10.43.1.5",
            "kubelet": "10.43.1.4",
        },
        host_api_addresses=("198.51.100.1",),
        host_api_ports=(6443,),
    )
    names = {
        *(f"{leaf.name}.{part}" for leaf in render.pki_request(spec, facts).leafs for part in ("crt", "key")),
        *(f"{name}.{part}" for name in pki.AUTHORITIES for part in ("crt", "key")),
        *(pki.CLIENT_CAS, pki.SERVICE_ACCOUNT_KEY, pki.ENCRYPTION_KEY, pki.TOKEN),
    }
    material = pki.Material(files={name: f"this is {name}".encode() for name in names})
    return (*render.render(spec, material, facts), render.publication(spec, material, "https://10.43.1.2"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_host_objects_of_a_spec(case: Path) -> None:
    documents = [{"step": step.name, "objects": render.redact(step.objects)} for step in outcome(case)]
    expect(case / "objects.yaml", _text(documents, many=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_tenant_objects_of_a_spec(case: Path) -> None:
    expect(
        case / "tenant.yaml", _text(render.tenant_objects(load((case / "spec.yaml").read_text())), many=True)
    )


@pytest.mark.parametrize("distro", ["k3s", "k8s"])
def test_the_whole_command_line_of_a_distro(distro: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(f"{{name: tenant-a, distro: {distro}}}")
    objects = render.flatten(outcome(tmp_path))
    (deployment,) = (o for o in objects if (o["kind"], o["metadata"]["name"]) == ("Deployment", "api"))
    pod = deployment["spec"]["template"]["spec"]
    lines = [
        " \\\n  ".join([*container["command"], *container.get("args", [])])
        for container in [*pod.get("initContainers", []), *pod["containers"]]
    ]
    expect(HERE.parent / "distros" / f"{distro}.txt", "\n".join(lines) + "\n")
