"""Which fields of a pod are known, at every level: translation is an allow-list.

A field that this version does not know might reach the host in a way that nobody thought of, so it is refused
rather than passed or dropped. The fields are those of core/v1 in Kubernetes v1.36.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import msgspec

from kube.objects import Obj
from syncer.core.refusal import Problem

REASON = "is not known to this version of vcp"


class Fields(dict[str, "Fields | None"]):
    """The fields of an object, or of each object of a list; None for what is not looked into."""

    @cached_property
    def struct(self) -> type[msgspec.Struct]:
        """A struct of these fields, whose values may be anything."""
        return msgspec.defstruct(
            "Fields",
            [(name, Any if inner is None else _shape(inner.struct), None) for name, inner in self.items()],
            forbid_unknown_fields=True,
            gc=False,
        )


def _shape(struct: type[msgspec.Struct]) -> Any:
    return list[struct] | struct | None  # type: ignore[valid-type]  # a type made at run time


_UNKNOWN = Fields()


def _fields(plain: str, **nested: Fields) -> Fields:
    return Fields({**dict.fromkeys(plain.split()), **nested})


_SELECTOR = _fields("matchLabels", matchExpressions=_fields("key operator values"))

_EXEC = _fields("command")
_HTTP_GET = _fields("path port host scheme", httpHeaders=_fields("name value"))
_TCP_SOCKET = _fields("port host")
_PROBE = _fields(
    "initialDelaySeconds timeoutSeconds periodSeconds successThreshold failureThreshold"
    " terminationGracePeriodSeconds",
    exec=_EXEC,
    httpGet=_HTTP_GET,
    tcpSocket=_TCP_SOCKET,
    grpc=_fields("port service"),
)
_HANDLER = _fields("", exec=_EXEC, httpGet=_HTTP_GET, tcpSocket=_TCP_SOCKET, sleep=_fields("seconds"))

_SE_LINUX = _fields("user role type level")
_WINDOWS = _fields("gmsaCredentialSpecName gmsaCredentialSpec runAsUserName hostProcess")
_PROFILE = _fields("type localhostProfile")
_POD_SECURITY_CONTEXT = _fields(
    "runAsUser runAsGroup runAsNonRoot supplementalGroups supplementalGroupsPolicy fsGroup"
    " fsGroupChangePolicy seLinuxChangePolicy",
    seLinuxOptions=_SE_LINUX,
    windowsOptions=_WINDOWS,
    seccompProfile=_PROFILE,
    appArmorProfile=_PROFILE,
    sysctls=_fields("name value"),
)
_SECURITY_CONTEXT = _fields(
    "privileged runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem allowPrivilegeEscalation procMount",
    capabilities=_fields("add drop"),
    seLinuxOptions=_SE_LINUX,
    windowsOptions=_WINDOWS,
    seccompProfile=_PROFILE,
    appArmorProfile=_PROFILE,
)

_FIELD_REF = _fields("apiVersion fieldPath")
_RESOURCE_FIELD_REF = _fields("containerName resource divisor")
_VALUE_FROM = _fields(
    "",
    fieldRef=_FIELD_REF,
    resourceFieldRef=_RESOURCE_FIELD_REF,
    configMapKeyRef=_fields("name key optional"),
    secretKeyRef=_fields("name key optional"),
    fileKeyRef=_fields("volumeName path key optional"),
)
_ENV_FROM = _fields("prefix", configMapRef=_fields("name optional"), secretRef=_fields("name optional"))
_RESOURCES = _fields("limits requests claims")
CONTAINER = _fields(
    "name image command args workingDir restartPolicy terminationMessagePath terminationMessagePolicy"
    " imagePullPolicy stdin stdinOnce tty targetContainerName",
    ports=_fields("name hostPort containerPort protocol hostIP"),
    envFrom=_ENV_FROM,
    env=_fields("name value", valueFrom=_VALUE_FROM),
    resources=_RESOURCES,
    resizePolicy=_fields("resourceName restartPolicy"),
    restartPolicyRules=_fields("action", exitCodes=_fields("operator values")),
    volumeMounts=_fields("name readOnly recursiveReadOnly mountPath subPath mountPropagation subPathExpr"),
    volumeDevices=_fields("name devicePath"),
    livenessProbe=_PROBE,
    readinessProbe=_PROBE,
    startupProbe=_PROBE,
    lifecycle=_fields("stopSignal", postStart=_HANDLER, preStop=_HANDLER),
    securityContext=_SECURITY_CONTEXT,
)

_ITEMS = _fields("key path mode")
_DOWNWARD = _fields("path mode", fieldRef=_FIELD_REF, resourceFieldRef=_RESOURCE_FIELD_REF)
_SOURCES = _fields(
    "clusterTrustBundle podCertificate",  # refused with a reason of their own
    secret=_fields("name optional", items=_ITEMS),
    configMap=_fields("name optional", items=_ITEMS),
    downwardAPI=_fields("", items=_DOWNWARD),
    serviceAccountToken=_fields("audience expirationSeconds path"),
)
_VOLUME = _fields(
    # What a tenant's policy may allow; who allows such a type allows all of its fields.
    "name hostPath gcePersistentDisk awsElasticBlockStore gitRepo nfs iscsi glusterfs rbd flexVolume cinder"
    " cephfs flocker fc azureFile vsphereVolume quobyte azureDisk photonPersistentDisk portworxVolume scaleIO"
    " storageos csi",
    emptyDir=_fields("medium sizeLimit"),
    secret=_fields("secretName defaultMode optional", items=_ITEMS),
    configMap=_fields("name defaultMode optional", items=_ITEMS),
    downwardAPI=_fields("defaultMode", items=_DOWNWARD),
    projected=_fields("defaultMode", sources=_SOURCES),
    persistentVolumeClaim=_fields("claimName readOnly"),
    ephemeral=_fields("volumeClaimTemplate"),
    image=_fields("reference pullPolicy"),
)

_TERM = _fields(
    "namespaces topologyKey matchLabelKeys mismatchLabelKeys",
    labelSelector=_SELECTOR,
    namespaceSelector=_SELECTOR,
)
_POD_AFFINITY = _fields(
    "",
    requiredDuringSchedulingIgnoredDuringExecution=_TERM,
    preferredDuringSchedulingIgnoredDuringExecution=_fields("weight", podAffinityTerm=_TERM),
)
_NODE_REQUIREMENT = _fields("key operator values")
_NODE_TERM = _fields("", matchExpressions=_NODE_REQUIREMENT, matchFields=_NODE_REQUIREMENT)
_NODE_AFFINITY = _fields(
    "",
    requiredDuringSchedulingIgnoredDuringExecution=_fields("", nodeSelectorTerms=_NODE_TERM),
    preferredDuringSchedulingIgnoredDuringExecution=_fields("weight", preference=_NODE_TERM),
)

POD_SPEC = _fields(
    "restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy nodeSelector"
    " serviceAccountName serviceAccount automountServiceAccountToken nodeName hostNetwork hostPID hostIPC"
    " shareProcessNamespace hostname subdomain schedulerName priorityClassName priority runtimeClassName"
    " enableServiceLinks preemptionPolicy overhead setHostnameAsFQDN hostUsers hostnameOverride"
    " ephemeralContainers"  # looked at one by one: a bad one does not concern the pod
    " resourceClaims workloadRef schedulingGroup",  # refused with a reason of their own
    volumes=_VOLUME,
    initContainers=CONTAINER,
    containers=CONTAINER,
    securityContext=_POD_SECURITY_CONTEXT,
    imagePullSecrets=_fields("name"),
    affinity=_fields(
        "", nodeAffinity=_NODE_AFFINITY, podAffinity=_POD_AFFINITY, podAntiAffinity=_POD_AFFINITY
    ),
    tolerations=_fields("key operator value effect tolerationSeconds"),
    hostAliases=_fields("ip hostnames"),
    dnsConfig=_fields("nameservers searches", options=_fields("name value")),
    readinessGates=_fields("conditionType"),
    topologySpreadConstraints=_fields(
        "maxSkew topologyKey whenUnsatisfiable minDomains nodeAffinityPolicy nodeTaintsPolicy matchLabelKeys",
        labelSelector=_SELECTOR,
    ),
    os=_fields("name"),
    schedulingGates=_fields("name"),
    resources=_RESOURCES,
)

VOLUME_TYPES = frozenset(_VOLUME) - {"name"}


def problems(value: Obj, fields: Fields, path: str) -> Iterator[Problem]:
    """Every field of `value` that is not known.

    msgspec says whether there is one in a third of the time that a walk takes, but names only the first.
    """
    try:
        msgspec.convert(value, fields.struct)
    except msgspec.ValidationError:
        yield from _unknown(value, fields, path)


def _unknown(value: Any, fields: Fields, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        inner = fields.get(key, _UNKNOWN)
        if inner is _UNKNOWN:
            yield Problem(f"{path}.{key}", REASON)
        elif inner is not None and isinstance(item, list):
            for index, each in enumerate(item):
                yield from _unknown(each, inner, f"{path}.{key}[{index}]")
        elif inner is not None:
            yield from _unknown(item, inner, f"{path}.{key}")
