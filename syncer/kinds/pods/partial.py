"""What is read of pods. A host pod is made from the tenant's and never read back, but for what may change
while it runs."""

from typing import Any, TypedDict

from kube.partial import Metadata


class TenantPod(TypedDict, total=False):
    apiVersion: Any
    kind: Any
    metadata: Metadata
    spec: Any
    status: Any


class HostSource(TypedDict, total=False):
    configMapRef: Any


class HostContainer(TypedDict, total=False):
    name: Any
    envFrom: list[HostSource] | None
    image: Any
    resources: Any


class HostSpec(TypedDict, total=False):
    nodeName: Any
    hostNetwork: Any
    tolerations: Any
    resources: Any
    activeDeadlineSeconds: Any
    terminationGracePeriodSeconds: Any
    containers: list[HostContainer] | None
    initContainers: list[HostContainer] | None
    ephemeralContainers: list[HostContainer] | None


class HostPod(TypedDict, total=False):
    apiVersion: Any
    kind: Any
    metadata: Metadata
    spec: HostSpec
    status: Any
