"""What holds for every pod: nothing unknown passes, no tenant name stays, marks lead back."""

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kube.objects import Obj, key_of
from syncer.core import marks, podselectors
from syncer.core.refusal import Refused
from syncer.core.scope import Scope
from syncer.kinds.pods import affinity, downward, fields, metadata, references, spec, tokens
from tests.golden.test_pods import CASES, scope_of
from tests.pod_scope import WHOLE, pod, scope

settings.register_profile("steady", derandomize=True, max_examples=25, deadline=None)
steady = settings.get_profile("steady")

ACCEPTED = [case for case in CASES if (case / "host.yaml").exists()]
FREE = re.compile(r"nodeSelector|matchLabels|limits|requests|overhead|ephemeral\.|ephemeralContainers")
LABEL_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"


def inside(chars: str, size: int) -> st.SearchStrategy[str]:
    """Texts of these characters that begin and end with a letter."""
    return st.text(chars, max_size=size - 2).map(lambda text: f"a{text}z")


names = st.text("abc09", min_size=1, max_size=4).map(lambda text: f"ref-{text}")
label_keys = st.builds(
    lambda domain, name: f"{domain}/{name}" if domain else name,
    st.just("") | inside("a0.", 40).filter(lambda text: ".." not in text),
    inside("aZ0_.-", 63),
)


def read(case: Path) -> tuple[Obj, Scope]:
    return yaml.safe_load((case / "tenant.yaml").read_text()), scope_of(case)


def objects(value: Any, path: str = "spec") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object with fields in a pod spec: free maps and what is not translated are left out."""
    if isinstance(value, dict) and not FREE.search(path + "."):
        yield path, value
        for key, item in value.items():
            yield from objects(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from objects(item, f"{path}[{index}]")


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


@st.composite
def containers(draw: st.DrawFn) -> Obj:
    env = [
        {"name": "A", "valueFrom": {kind: {"name": draw(names), "key": "k"}}}
        for kind in draw(st.lists(st.sampled_from(["configMapKeyRef", "secretKeyRef"]), max_size=3))
    ]
    env_from = [
        {kind: {"name": draw(names), "optional": draw(st.booleans())}}
        for kind in draw(st.lists(st.sampled_from(["configMapRef", "secretRef"]), max_size=2))
    ]
    return {"name": "app", "image": "app", "env": env, "envFrom": env_from}


@st.composite
def volumes(draw: st.DrawFn, index: int) -> Obj:
    name = draw(names)
    sources = [
        {"configMap": {"name": draw(names)}},
        {"secret": {"name": draw(names), "optional": True}},
        {"serviceAccountToken": {"path": "token"}},
    ]
    kinds = [
        {"configMap": {"name": name}},
        {"secret": {"secretName": name}},
        {"persistentVolumeClaim": {"claimName": name}},
        {"ephemeral": {"volumeClaimTemplate": {}}},
        {"projected": {"sources": draw(st.lists(st.sampled_from(sources), max_size=3))}},
        {"emptyDir": {}},
    ]
    return {"name": f"volume-{index}", **draw(st.sampled_from(kinds))}


@st.composite
def pods(draw: st.DrawFn) -> Obj:
    return pod(
        {
            "containers": [draw(containers())],
            "initContainers": draw(st.lists(containers(), max_size=2)),
            "volumes": [draw(volumes(index)) for index in range(draw(st.integers(0, 4)))],
            "imagePullSecrets": [{"name": name} for name in draw(st.lists(names, max_size=2))],
            "serviceAccountName": draw(st.sampled_from(["default", "robot", "vcp-admin"])),
            "enableServiceLinks": draw(st.booleans()),
        },
        name=draw(inside("a0.-", 80)),
        namespace=draw(inside("a0-", 40)),
        labels=draw(st.dictionaries(label_keys, st.just("x"), max_size=3)),
    )


@steady
@given(tenant=pods())
def test_every_reference_is_in_terms_of_the_host(tenant: Obj) -> None:
    host = spec.host_pod(tenant, WHOLE)
    there = set(texts(host["spec"]))
    assert host["spec"]["serviceAccountName"] == spec.SERVICE_ACCOUNT
    for kind, key in references.references(tenant):
        if kind == "serviceaccounts":  # not synced here, so all pods run as one account
            continue
        assert key.name not in there
        assert WHOLE.host_key(key).name in there


@steady
@given(tenant=pods())
def test_a_host_pod_runs_without_any_right_and_leads_back(tenant: Obj) -> None:
    before = copy.deepcopy(tenant)
    host = spec.host_pod(tenant, WHOLE)
    assert host["spec"]["serviceAccountName"] == "vcp-workload"
    assert host["spec"]["automountServiceAccountToken"] is False
    assert host["spec"]["enableServiceLinks"] is False
    assert "serviceAccountToken" not in str(host)
    assert marks.key_of(host) == key_of(tenant)
    assert marks.is_owned(host, tenant)
    assert spec.host_pod(tenant, WHOLE) == host
    assert tenant == before


@steady
@given(tenant=pods())
def test_names_labels_and_host_names_are_valid(tenant: Obj) -> None:
    host = spec.host_pod(tenant, WHOLE)
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", host["metadata"]["name"])
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", host["spec"]["hostname"])
    for key in host["metadata"]["labels"]:
        assert re.fullmatch(rf"([a-z0-9.-]{{1,253}}/)?{LABEL_NAME}", key)


@steady
@given(keys=st.sets(label_keys, min_size=2, max_size=20))
def test_namespace_label_keys_are_valid_and_differ(keys: set[str]) -> None:
    found = {podselectors.namespace_label_key(key) for key in keys}
    assert len(found) == len(keys)
    assert all(re.fullmatch(rf"ns\.vcp\.dev/{LABEL_NAME}", key) for key in found)


@steady
@given(paths=st.sets(st.text(min_size=1, max_size=300), min_size=2, max_size=10))
def test_token_files_are_valid_keys_and_differ(paths: set[str]) -> None:
    found = {tokens.file_key(volume, path) for volume in ("a", "b") for path in paths}
    assert len(found) == 2 * len(paths)
    assert all(re.fullmatch(r"[a-zA-Z0-9][-._a-zA-Z0-9]{0,252}", key) for key in found)


@steady
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_quoted_text_reads_back_and_is_one_printable_line(text: str) -> None:
    quoted = downward.quote(text)
    assert quoted.isprintable()
    assert ast.literal_eval(quoted) == text


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_an_unknown_field_anywhere_is_refused(case: Path) -> None:
    tenant, where = read(case)
    found = list(objects(tenant["spec"]))
    by_policy = {"nfs", "csi", "iscsi", "azureFile", "hostPath"}
    for path, value in found:
        if by_policy & set(re.split(r"[.\[\]]", path)):
            continue
        value["newField"] = {}
        with pytest.raises(Refused) as refused:
            spec.host_pod(tenant, where)
        del value["newField"]
        assert f"{path}.newField" in {
            each.field for each in refused.value.problems if each.reason == fields.REASON
        }


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_accepted_cases_are_pure(case: Path) -> None:
    tenant, where = read(case)
    before = copy.deepcopy(tenant)
    assert spec.host_pod(tenant, where) == spec.host_pod(copy.deepcopy(tenant), where)
    assert tenant == before
    assert marks.key_of(spec.host_pod(tenant, where)) == key_of(tenant)


NAMESPACES = {
    "shop": {"team": "blue"},
    "bank": {"team": "red"},
    "mill": {"team": "red", "old": ""},
    "bare": {},
}
SELECTORS = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "matchLabels": st.dictionaries(
            st.sampled_from(["team", "old"]), st.sampled_from(["red", "blue", ""]), max_size=2
        ),
        "matchExpressions": st.lists(
            st.fixed_dictionaries(
                {
                    "key": st.sampled_from(["team", "old"]),
                    "operator": st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
                    "values": st.lists(st.sampled_from(["red", "blue"]), min_size=1, max_size=2),
                }
            ),
            max_size=2,
        ),
    },
)


def _seen(listed: list[str], selector: Obj | None, own: str, other: str) -> bool:
    """Whether a term of a pod in `own` sees the pods in `other` (the API reference of PodAffinityTerm)."""
    if not listed and selector is None:
        return other == own
    return other in listed or (selector is not None and podselectors.matches(selector, NAMESPACES[other]))


@settings(steady, max_examples=60)
@given(
    listed=st.lists(st.sampled_from(sorted(NAMESPACES)), unique=True, max_size=3),
    selector=SELECTORS,
    place=st.sampled_from(
        [
            ("podAffinity", "requiredDuringSchedulingIgnoredDuringExecution"),
            ("podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"),
            ("podAffinity", "preferredDuringSchedulingIgnoredDuringExecution"),
        ]
    ),
)
def test_a_term_sees_the_same_pods_on_the_host(
    listed: list[str], selector: Obj | None, place: tuple[str, str]
) -> None:
    term: Obj = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}, "namespaces": listed}
    if selector is not None:
        term["namespaceSelector"] = selector
    kind, when = place
    preferred = when.startswith("preferred")
    terms = {kind: {when: [{"weight": 1, "podAffinityTerm": term} if preferred else term]}}
    where = scope(
        pod({"affinity": terms}, name="selecting"),
        *(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            for name, labels in NAMESPACES.items()
        ),
    )
    host = affinity.host_affinity(terms, pod(), where)[kind][when]
    selectors = [(each["podAffinityTerm"] if preferred else each)["labelSelector"] for each in host]
    for other in NAMESPACES:
        labels = metadata.host_labels(pod(namespace=other, labels={"app": "db"}), where)
        seen = [podselectors.matches(each, labels) for each in selectors]
        assert seen.count(True) == _seen(listed, selector, "shop", other)
        assert not any(podselectors.matches(each, labels | {marks.TENANT: "tenant-b"}) for each in selectors)
