"""Labels of tenant pods on the host: nothing there acts on them, and selectors select the same pods."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncer.core import podselectors
from syncer.core.podselectors import label_key
from tests.unit import podcases

ACTED_ON = (
    "sidecar.istio.io/inject",
    "istio.io/rev",
    "azure.workload.identity/use",
    "aadpodidbinding",
    "linkerd.io/inject",
    "kuma.io/sidecar-injection",
    "admission.datadoghq.com/enabled",
    "sidecar.opentelemetry.io/inject",
    "vault.hashicorp.com/agent-inject",
    "eks.amazonaws.com/fargate-profile",
    "eks.amazonaws.com/pod-identity",
    "karpenter.sh/do-not-disrupt",
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "projectcalico.org/orchestrator",
    "security.kubernetes.io/anything",
    "Vault.Example/x",
)
KEYS = st.sampled_from(
    (*ACTED_ON, "app", "tier_1", "app.kubernetes.io/name", "a/b", "a_b", "example.com/" + "n" * 63)
)
LABELS = st.dictionaries(KEYS, st.sampled_from(("a", "b", "")), max_size=5)
SCOPE = podcases.scope()


@pytest.mark.parametrize("key", ACTED_ON)
def test_a_label_that_something_acts_on_is_not_on_the_host(key: str) -> None:
    there = label_key(key, ())
    assert there.startswith("pod.vcp.dev/")
    assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", there.partition("/")[2])
    assert label_key(key, (key,)) == key
    assert label_key(key, ("*",)) == key


@pytest.mark.parametrize(
    "key",
    [
        "app",
        "pod-template-hash",
        "app.kubernetes.io/name",
        "apps.kubernetes.io/pod-index",
        "statefulset.kubernetes.io/pod-name",
        "batch.kubernetes.io/job-name",
        "helm.sh/chart",
    ],
)
def test_what_only_finds_pods_keeps_its_key(key: str) -> None:
    assert label_key(key, ()) == key


@given(st.sets(KEYS))
def test_no_two_labels_become_one(keys: set[str]) -> None:
    assert len({label_key(key, ()) for key in keys}) == len(keys)


EXPRESSIONS = st.builds(
    lambda key, operator, values: {"key": key, "operator": operator, **values[operator]},
    KEYS,
    st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")),
    st.just({"In": {"values": ["a"]}, "NotIn": {"values": ["b"]}, "Exists": {}, "DoesNotExist": {}}),
)


@given(LABELS, LABELS, st.lists(EXPRESSIONS, max_size=3))
def test_a_selector_selects_on_the_host_what_it_selects_in_the_tenant(
    labels: dict[str, str], wanted: dict[str, str], expressions: list[dict[str, Any]]
) -> None:
    selector = {"matchLabels": wanted, "matchExpressions": expressions}
    host = podselectors.narrowed(selector, podselectors.listed(["default"]), SCOPE)
    marks = {"vcp.dev/tenant": SCOPE.name, "vcp.dev/namespace": "default"}
    there = podselectors.labels(labels, SCOPE) | marks
    assert podselectors.matches(host, there) == podselectors.matches(selector, labels)
    plain = podselectors.of_namespace(wanted, "default", SCOPE)
    if wanted:
        assert (plain.items() <= there.items()) == (wanted.items() <= labels.items())
