"""In every step of a rotation each client believes each server, and only the last one ends the old ones."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from vcp import certificates, pki, rotation
from vcp.spec import load

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = load("name: tenant-a\ndistro: k8s\ncertificates: {signing: true}")
REQUEST = pki.request(SPEC, ("10.43.1.2",))
FIRST = pki.renew({}, REQUEST, NOW).files

Files = Mapping[str, bytes]


def step(files: Files) -> Files:
    return pki.renew(files, REQUEST, NOW).files


def believes(file: bytes, certificate: bytes) -> bool:
    read = certificates.read
    return any(certificates.signed_by(read(certificate), read(one)) for one in certificates.split(file))


def steps(names: tuple[str, ...]) -> tuple[Files, Files, Files]:
    announced = step(rotation.announced(FIRST, names, REQUEST, NOW))
    switched = step(rotation.switched(announced, names))
    return announced, switched, step(rotation.finished(switched, names))


@pytest.mark.parametrize("names", [(name,) for name in pki.AUTHORITIES] + [pki.AUTHORITIES])
def test_neighbouring_steps_believe_each_other(names: tuple[str, ...]) -> None:
    announced, switched, finished = steps(names)
    for older, newer in ((FIRST, announced), (announced, switched), (switched, finished)):
        for leaf in REQUEST.leafs:
            for trusting, shown in ((older, newer), (newer, older), (newer, newer)):
                if (trusting, shown) == (finished, switched) or leaf.ca not in names:
                    continue
                ca = trusting[f"{leaf.ca}.crt"]
                assert believes(ca, shown[f"{leaf.name}.crt"]), (leaf.name, leaf.ca)


@pytest.mark.parametrize("name", pki.AUTHORITIES)
def test_the_end_believes_nothing_of_the_old_and_all_of_the_new(name: str) -> None:
    announced, _, finished = steps((name,))
    assert FIRST[f"{name}.crt"] in announced[f"{name}.crt"]
    assert certificates.split(finished[f"{name}.crt"]) == [finished[f"{name}.crt"]]
    old, new = (certificates.read(files[f"{name}.crt"]) for files in (FIRST, finished))
    assert old.public_key() != new.public_key()
    assert not any("-next" in file for file in finished)
    for leaf in REQUEST.leafs:
        if leaf.ca == name:
            assert not believes(finished[f"{name}.crt"], FIRST[f"{leaf.name}.crt"])
    others = [one for one in pki.AUTHORITIES if one != name]
    assert {one: finished[f"{one}.crt"] for one in others} == {one: FIRST[f"{one}.crt"] for one in others}
    believed = finished[pki.CLIENT_CAS]
    assert finished[f"{name}.crt"] in believed or name not in REQUEST.clients
    assert FIRST[f"{name}.crt"] not in believed


def test_users_of_an_authority_that_is_gone_are_strangers() -> None:
    jane = pki.issue_user(FIRST, "jane", [], life=timedelta(hours=8), now=NOW).certificate
    _, switched, finished = steps(("user-ca",))
    assert believes(switched[pki.CLIENT_CAS], jane)
    assert not believes(finished[pki.CLIENT_CAS], jane)


def test_an_announced_authority_is_kept_by_creates_in_between() -> None:
    announced = step(rotation.announced(FIRST, ("server-ca",), REQUEST, NOW))
    assert step(announced) == announced
    assert step(rotation.announced(announced, ("server-ca",), REQUEST, NOW)) == announced
    assert rotation.finished(announced, ("server-ca",)) == announced
    assert "server-ca-next.key" in pki.bundles(SPEC, announced)[pki.CA_KEYS]
    holders = [
        secret for secret, files in pki.bundles(SPEC, announced).items() if "server-ca-next.key" in files
    ]
    assert holders == [pki.CA_KEYS]


def test_a_renewed_authority_keeps_what_is_believed_beside_it() -> None:
    _, switched, _ = steps(("server-ca",))
    later = pki.renew(switched, REQUEST, NOW + timedelta(days=2500))
    assert "server-ca" in later.issued
    assert certificates.split(later.files["server-ca.crt"])[1:] == [FIRST["server-ca.crt"]]


def test_what_is_not_announced_is_not_switched() -> None:
    assert rotation.switched(FIRST, pki.AUTHORITIES) == FIRST
