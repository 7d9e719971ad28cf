"""A Deployment that an autoscaler makes larger, because its pods are busy."""

import pytest

from ..conftest import eventually
from .conftest import Stack


@pytest.mark.parametrize("stack", ["autoscaled"], indirect=True)
def test_an_autoscaler_adds_a_pod_under_load(stack: Stack) -> None:
    stack.rolled_out("deployment/busy")

    def scaled() -> bool:
        status = stack.get("hpa", "busy").get("status") or {}
        # Before the first figures there is an entry without any.
        told = [one.get("resource") or {} for one in status.get("currentMetrics") or ()]
        current = [one["current"] for one in told if one]
        return status.get("desiredReplicas") == 2 and any(
            one.get("averageUtilization", 0) > 100 for one in current
        )

    # A new pod is measured within two rounds of metrics-server, and an autoscaler looks every 15 seconds.
    eventually("an autoscaler that has seen the load", scaled, 90)
    stack.rolled_out("deployment/busy")
    assert stack.get("deployment", "busy")["status"]["readyReplicas"] == 2
