"""When the tokens of a pod are asked for, renewed and thrown away."""

import pytest

from kube import apis
from kube.objects import Key, Obj
from syncer.core.actions import Action, Create, Delete, Tokens, Wait
from syncer.core.scope import Scope
from syncer.kinds.pods.pods import Pods
from tests.unit import podcases
from tests.unit.podcases import (
    HOST_KEY,
    KEY,
    NOW,
    UID,
    deleting,
    running,
    tenant_pod,
    token_secret,
    with_token,
)

SECRET = Key("vcp-work", f"{HOST_KEY.name}.tokens")


def plan(tenant: Obj | None, host: Obj | None, scope: Scope | None = None) -> list[Action]:
    return Pods().plan(KEY, tenant, host, scope or podcases.scope())


def with_secret(secret: Obj, now: float = NOW) -> Scope:
    return podcases.scope(host=[secret], now=now)


def test_tokens_are_looked_at_again_when_they_are_due() -> None:
    tenant, host = (with_token(pod) for pod in running())
    assert plan(tenant, host, with_secret(token_secret())) == [Wait(600)]


@pytest.mark.parametrize("renew", [str(int(NOW)), "0", "soon"])
def test_tokens_are_renewed_in_place(renew: str) -> None:
    tenant, host = (with_token(pod) for pod in running())
    (tokens,) = plan(tenant, host, with_secret(token_secret(renew=renew)))
    assert isinstance(tokens, Tokens)
    assert tokens.current == "secret-uid"


def test_a_lost_token_secret_is_made_again() -> None:
    tenant, host = (with_token(pod) for pod in running())
    (tokens,) = plan(tenant, host)
    assert isinstance(tokens, Tokens)
    assert tokens.current == ""


def test_tokens_of_an_earlier_pod_go_before_new_ones_are_asked_for() -> None:
    scope = with_secret(token_secret(uid="earlier"))
    delete, tokens, create = plan(with_token(tenant_pod()), None, scope)
    assert delete == Delete("host", apis.SECRETS, SECRET, "secret-uid")
    assert isinstance(tokens, Tokens)
    assert tokens.current == ""
    assert isinstance(create, Create)


def test_a_pod_that_ends_needs_no_new_tokens() -> None:
    tenant, host = (with_token(pod) for pod in running())
    assert plan(deleting(tenant, 30), deleting(host, 30)) == []
    tenant["status"]["phase"] = host["status"]["phase"] = "Succeeded"
    assert plan(tenant, host) == []


def test_the_token_secret_goes_with_the_pods() -> None:
    tenant, _ = (with_token(pod) for pod in running())
    scope = with_secret(token_secret())
    drop = Delete("host", apis.SECRETS, SECRET, "secret-uid")
    assert plan(None, None, scope) == [drop]
    assert plan(tenant, None, scope)[1:] == [Delete("tenant", apis.PODS, KEY, UID, 0), drop]
