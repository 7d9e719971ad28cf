"""Sizes of what a kubelet would expand, against a plain expander, and the pods that would fill its memory."""

import base64
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube.objects import Obj
from syncer.core.refusal import Refused
from syncer.kinds.pods import expansion, spec
from syncer.kinds.pods.expansion import ALL, LONGEST, REFERENCES, Size
from tests.pod_scope import container, pod, scope

TEXTS = st.text("ab$()Xé", max_size=20)
NAMES = st.sampled_from(["a", "b", "aX", "X"])


def expand(text: str, known: dict[str, str]) -> str:
    """As the kubelet does it, a sign at a time (third_party/forked/golang/expansion)."""
    found, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            found, at = found + text[at], at + 1
        elif text[at + 1] == "$":
            found, at = found + "$", at + 2
        elif text[at + 1] == "(" and (end := text.find(")", at + 2)) >= 0:
            name = text[at + 2 : end]
            found, at = found + known.get(name, f"$({name})"), end + 1
        else:
            found, at = found + text[at : at + 2], at + 2
    return found


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=6), TEXTS)
def test_a_size_is_that_of_the_expanded_text(variables: list[tuple[str, str]], text: str) -> None:
    known: dict[str, str] = {}
    sizes: dict[str, Size] = {}
    for name, value in variables:
        known[name], sizes[name] = expand(value, known), expansion.size(value, sizes)
        assert sizes[name] == Size(len(known[name].encode()))
    assert expansion.size(text, sizes).bytes == len(expand(text, known).encode())


def chain(depth: int, times: int = 2, first: str = "x" * 64) -> list[Obj]:
    env = [{"name": "V0", "value": first}]
    return env + [{"name": f"V{n}", "value": f"$(V{n - 1})" * times} for n in range(1, depth)]


def refused(one: Obj, *objects: Obj) -> str:
    with pytest.raises(Refused) as found:
        spec.host_pod(one, scope(*objects))
    return str(found.value)


BOMB = chain(60)
MANY = "$(V0)" * 3000
HELD: Obj = {"env": chain(1)}
FROM_MAP = {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}
SOURCES: dict[str, Any] = {"env": [FROM_MAP]}
IN_MAP = [{"configMapRef": {"name": "c"}}]
IN_SECRET = [{"prefix": "P_", "secretRef": {"name": "s"}}]
OFTEN = [{"name": f"E{number}", "value": "$(V0)" * 90} for number in range(30)]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"env": BOMB}, "env[11]: expands to 131076 bytes; at most 131071"),
        ({"env": chain(4, 60)}, "env[3]: expands to"),
        ({**HELD, "command": [MANY]}, "command[0]: expands to 192000 bytes"),
        ({**HELD, "args": ["a", MANY]}, "args[1]: expands to 192000 bytes"),
        ({**HELD, "livenessProbe": {"exec": {"command": [MANY]}}}, "livenessProbe.exec.command[0]: expands"),
        ({**HELD, "startupProbe": {"exec": {"command": [MANY]}}}, "startupProbe.exec.command[0]: expands"),
        (
            {**HELD, "volumeMounts": [{"name": "v", "mountPath": "/v", "subPathExpr": MANY}]},
            "volumeMounts[0].subPathExpr: expands to 192000 bytes",
        ),
        (
            {
                "env": [
                    *chain(1, first="x" * 1000),
                    *({"name": f"E{n}", "value": "$(V0)" * 90} for n in range(30)),
                ]
            },
            f"at most {ALL}",
        ),
        ({**SOURCES, "args": ["$(K)" * 200]}, f"201 times in $(…); at most {REFERENCES}"),
        (
            {"env": [*SOURCES["env"], {"name": "A", "value": "$(K)" * 12}], "args": ["$(A)" * 12]},
            "times in $(…)",
        ),
        ({"envFrom": IN_MAP, "args": ["$(later)" * 200]}, "times in $(…)"),
        (
            {"envFrom": IN_SECRET, "args": ["$(P_k)" * 200]},
            "times in $(…)",
        ),
    ],
)
@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_what_would_fill_the_kubelets_memory_is_refused(field: str, fields: Obj, place: str) -> None:
    one = {"name": "app", "image": "app", **fields}
    rest = {"containers": [{"name": "main", "image": "app"}]} if field == "initContainers" else {}
    assert place in refused(pod({**rest, field: [one]}))


def test_an_ephemeral_container_is_looked_at_too() -> None:
    tenant = pod({"ephemeralContainers": [{"name": "debug", "image": "app", "env": BOMB}]})
    with pytest.raises(Refused, match=r"spec.ephemeralContainers\[0\].env\[11\]: expands"):
        spec.host_container(tenant["spec"]["ephemeralContainers"][0], tenant, scope())


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_values_of_other_objects_count_as_they_are(kind: str) -> None:
    text = "y" * 4000
    data = text if kind == "ConfigMap" else base64.b64encode(text.encode()).decode()
    other = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"namespace": "shop", "name": "c"},
        "data": {"k": data},
    }
    by_key = {"ConfigMap": "configMapKeyRef", "Secret": "secretKeyRef"}[kind]
    env = [{"name": "K", "valueFrom": {by_key: {"name": "c", "key": "k"}}}]
    assert "args[0]: expands to 160000 bytes" in refused(container(env=env, args=["$(K)" * 40]), other)
    whole = {"ConfigMap": "configMapRef", "Secret": "secretRef"}[kind]
    fields: Obj = {"envFrom": [{whole: {"name": "c"}, "prefix": "P_"}], "args": ["$(P_k)" * 40]}
    assert "args[0]: expands to 160000 bytes" in refused(container(**fields), other)


@pytest.mark.parametrize(
    "fields",
    [
        {"env": chain(11)},
        {"env": [{"name": "A", "value": "$$(V)" * 5000}]},
        {"args": ["$(date) $(hostname)" * 1000]},
        {
            "envFrom": [{"configMapRef": {"name": "c"}}],
            "args": ["echo $(date +%s) $(cat /etc/x)" * 400],
        },
        {**SOURCES, "args": [f"--url=$(K):$(K){n}" for n in range(60)]},
        {
            **HELD,
            "lifecycle": {"preStop": {"exec": {"command": [MANY]}}},
        },  # the kubelet expands none of these
    ],
)
def test_what_an_exec_can_take_is_let_through(fields: Obj) -> None:
    assert spec.host_pod(container(**fields), scope())


def test_a_label_that_looks_like_a_reference_is_not_one() -> None:
    one = container(
        env=[
            *chain(1),
            {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['a']"}}},
            {"name": "M", "value": "$(L)" * 500},
        ]
    )
    one["metadata"]["annotations"] = {"a": "$(V0)" * 50}
    assert "env[2]: expands to" not in str(spec.host_pod(one, scope()))


def test_a_bomb_of_any_size_is_found_without_expanding_it() -> None:
    one = container(env=chain(1000, 8))
    started = time.process_time()
    text = refused(one)
    assert time.process_time() - started < 2  # a billionth of a second per byte would be for ever
    assert re.search(r"env\[999\]: expands to more than \d+ bytes", text)
    assert LONGEST == 131072
