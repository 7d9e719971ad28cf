"""An entry comes and goes without a trace in the rest of somebody's kubeconfig."""

import base64

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vcp import kubeconfig
from vcp.errors import RefusedError, UsageError

ENTRY = kubeconfig.admin("tenant-a", "https://192.0.2.1:443", b"CA" * 600, b"CERT", b"KEY")
MINE = """\
# my clusters, do not touch
apiVersion: v1
kind: Config
preferences: {}
current-context: home   # the usual one
clusters:
- name: home
  cluster:
    server: "https://home.example:6443"   # the cellar
    insecure-skip-tls-verify: true
contexts:
- name: home
  context: {cluster: home, user: me, namespace: garden}
users:
# by hand
- name: me
  user:
    token: 'abc'
"""


def test_an_entry_stands_on_its_own() -> None:
    config = yaml.safe_load(ENTRY.text())
    assert config["current-context"] == "vcp-tenant-a"
    assert config["contexts"] == [
        {"name": "vcp-tenant-a", "context": {"cluster": "vcp-tenant-a", "user": "vcp-tenant-a"}}
    ]
    (cluster,), (user,) = config["clusters"], config["users"]
    assert cluster["cluster"]["server"] == "https://192.0.2.1:443"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"CA" * 600
    assert base64.b64decode(user["user"]["client-key-data"]) == b"KEY"
    assert (config["apiVersion"], config["kind"]) == ("v1", "Config")


def test_a_server_may_be_checked_under_another_name() -> None:
    entry = kubeconfig.admin("a", "https://127.0.0.1:1", b"", b"", b"", server_name="kubernetes")
    assert entry.cluster["tls-server-name"] == "kubernetes"


def test_merging_keeps_everything_else_to_the_letter() -> None:
    merged = kubeconfig.merge(MINE, ENTRY, switch=False)
    lines = merged.splitlines()
    assert [line for line in MINE.splitlines() if line not in lines] == []
    assert yaml.safe_load(merged)["current-context"] == "home"
    assert [item["name"] for item in yaml.safe_load(merged)["users"]] == ["me", "vcp-tenant-a"]


def test_merging_switches_the_context_if_asked() -> None:
    assert "current-context: vcp-tenant-a # the usual one" in kubeconfig.merge(MINE, ENTRY)


def test_merging_again_changes_nothing_and_a_new_server_replaces_the_old() -> None:
    once = kubeconfig.merge(MINE, ENTRY)
    assert kubeconfig.merge(once, ENTRY) == once
    moved = kubeconfig.admin("tenant-a", "https://192.0.2.2", b"CA" * 600, b"CERT", b"KEY")
    config = yaml.safe_load(kubeconfig.merge(once, moved))
    assert [item["cluster"]["server"] for item in config["clusters"]][1:] == ["https://192.0.2.2"]


def test_a_namespace_that_the_user_has_set_stays() -> None:
    once = kubeconfig.merge("", ENTRY).replace(
        "user: vcp-tenant-a", "user: vcp-tenant-a\n    namespace: dev", 1
    )
    assert yaml.safe_load(kubeconfig.merge(once, ENTRY))["contexts"][0]["context"]["namespace"] == "dev"


def test_removing_undoes_merging() -> None:
    assert kubeconfig.remove(kubeconfig.merge(MINE, ENTRY, switch=False), ENTRY.name) == MINE
    assert kubeconfig.remove(MINE, ENTRY.name) is MINE


def test_removing_the_current_context_leaves_none() -> None:
    config = yaml.safe_load(kubeconfig.remove(kubeconfig.merge(MINE, ENTRY), ENTRY.name))
    assert config["current-context"] == ""
    assert [item["name"] for item in config["clusters"]] == ["home"]


@pytest.mark.parametrize("text", ["[1]", "kind: Pod", "a: [", "clusters: yes", "users: [x]", "x"])
def test_what_is_no_kubeconfig_is_not_touched(text: str) -> None:
    with pytest.raises(UsageError, match="kubeconfig"):
        kubeconfig.merge(text, ENTRY)


names = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=20)
others = st.lists(names.filter(lambda name: name != ENTRY.name), unique=True, max_size=4)


@settings(max_examples=25)  # ruamel takes its time
@given(others, names)
def test_other_entries_survive_whatever_their_names(found: list[str], token: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": "https://x"}} for name in found],
        "users": [{"name": name, "user": {"token": token}} for name in found],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}} for name in found],
    }
    merged = kubeconfig.merge(yaml.safe_dump(config), ENTRY)
    after = yaml.safe_load(merged)
    for section in ("clusters", "users", "contexts"):
        assert after[section][:-1] == config[section]
        assert after[section][-1]["name"] == ENTRY.name
    assert yaml.safe_load(kubeconfig.remove(merged, ENTRY.name)) == {**config, "current-context": ""}


def stored(cluster: dict[str, object] | None = None, user: dict[str, object] | None = None) -> bytes:
    """The kubeconfig that vcp publishes, with other fields."""
    entry = kubeconfig.Entry(ENTRY.name, ENTRY.cluster | (cluster or {}), ENTRY.user | (user or {}))
    return entry.text().encode()


def test_what_vcp_has_published_is_made_anew_as_it_was() -> None:
    assert kubeconfig.published(stored(), "tenant-a") == ENTRY
    assert kubeconfig.published(stored({"tls-server-name": "api.x.svc"}), "b").name == "vcp-b"


@pytest.mark.parametrize(
    ("cluster", "user", "said"),
    [
        ({}, {"exec": {"command": "sh", "args": ["-c", "id"]}}, "holds exec"),
        ({}, {"auth-provider": {"name": "gcp"}}, "holds auth-provider"),
        ({}, {"token": "t"}, "holds token"),
        ({}, {"tokenFile": "/etc/shadow"}, "holds tokenFile"),
        ({}, {"client-certificate": "client.crt"}, "holds client-certificate"),
        ({}, {"as": "system:admin"}, "holds as"),
        ({"proxy-url": "http://192.0.2.9"}, {}, "holds proxy-url"),
        ({"insecure-skip-tls-verify": True}, {}, "holds insecure-skip-tls-verify"),
        ({"certificate-authority": "/etc/hosts"}, {}, "holds certificate-authority"),
        ({"server": "http://192.0.2.1"}, {}, "server"),
        ({"server": "https://a:b@192.0.2.1"}, {}, "server"),
        ({"server": "https://192.0.2.1/\x1b[2J"}, {}, "server"),
        ({"server": ["https://192.0.2.1"]}, {}, "wrong one"),
        ({"tls-server-name": "a b"}, {}, "tls-server-name"),
        ({}, {"client-key-data": "not base64"}, "wrong one"),
    ],
)
def test_what_vcp_never_writes_is_not_passed_on(
    cluster: dict[str, object], user: dict[str, object], said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        kubeconfig.published(stored(cluster, user), "tenant-a")


@pytest.mark.parametrize("text", [b"", b"[]", b"a: [", b"clusters: []\nusers: []\n", b"\xff\xfe"])
def test_what_is_not_one_entry_is_refused(text: bytes) -> None:
    with pytest.raises(RefusedError, match="not written by vcp"):
        kubeconfig.published(text, "tenant-a")


def test_a_second_entry_is_refused() -> None:
    other = kubeconfig.admin("other", "https://192.0.2.2:443", b"CA", b"CERT", b"KEY")
    with pytest.raises(RefusedError, match="not written by vcp"):
        kubeconfig.published(kubeconfig.merge(ENTRY.text(), other).encode(), "tenant-a")
