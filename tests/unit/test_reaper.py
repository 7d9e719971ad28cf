"""What the reaper is made of, and how little it may do."""

from vcp.render import reaper


def test_its_rights_read_no_secret_but_records_and_write_nothing() -> None:
    rules = reaper.reaper("here", "example/vcp:1", "* * * * *")["ClusterRole"]["rules"]
    by_kind = {rule["resources"][0]: rule for rule in rules}
    assert by_kind["secrets"]["resourceNames"] == ["control-plane"]
    assert set(by_kind["secrets"]["verbs"]) == {"get", "list"}
    assert set(by_kind["namespaces"]["verbs"]) == {"get", "list", "delete"}
    assert set(by_kind["pods"]["verbs"]) == {"list", "delete"}
    assert by_kind.keys() == {"secrets", "namespaces", "pods"}


def test_its_account_is_limited_before_it_gets_rights() -> None:
    found = reaper.reaper("here", "example/vcp:1", "* * * * *")
    kinds = list(found)
    assert kinds.index("ValidatingAdmissionPolicyBinding") < kinds.index("ClusterRoleBinding")
    (condition,) = found["ValidatingAdmissionPolicy"]["spec"]["matchConditions"]
    assert condition["expression"] == "request.userInfo.username == 'system:serviceaccount:here:vcp-reaper'"
    assert found["ClusterRoleBinding"]["subjects"][0]["namespace"] == "here"


def test_its_pod_bears_the_strictest_level() -> None:
    found = reaper.reaper("here", "example/vcp:1", "0 * * * *")["CronJob"]
    assert (found["metadata"]["namespace"], found["spec"]["schedule"]) == ("here", "0 * * * *")
    pod = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "example/vcp:1"
    assert container["command"][-2:] == ["reap", "--no-wait"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
