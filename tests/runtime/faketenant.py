"""A fake tenant behind the port-forward of a fake host, for `vcp create` from end to end."""

import asyncio
import ssl
from pathlib import Path

from aiohttp import web
from fakeapi import FakeApi, Key, Obj
from hostcli import pod

from vcp import render

CREATE = ("create", "a", "--distro", "k8s")


class Tenant:
    """Answers on the forwarded port with the certificate that create has stored on the host."""

    def __init__(self, host: FakeApi, folder: Path) -> None:
        self.host = host
        self.api = FakeApi()
        account = {"metadata": {"name": "default", "namespace": "default"}}
        self.api.put("serviceaccounts", account)
        self.api.routes["/version"] = lambda _: web.json_response({"gitVersion": "v1.36.3"})
        self._folder = folder

    def tls(self) -> ssl.SSLContext:
        """Clients need a certificate of the tenant's client-ca."""
        secrets = [obj for key, obj in self.host.objects.items() if key.plural == "secrets"]
        files = render.secret_files(secrets)
        for name in ("api-serving.crt", "api-serving.key", "client-cas.crt"):
            (self._folder / name).write_bytes(files[name])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self._folder / "client-cas.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self._folder / "api-serving.crt", self._folder / "api-serving.key")
        return context

    async def portforward(self, request: web.Request) -> web.WebSocketResponse:
        """The kubelet's part, for one connection."""
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        assert request.query["ports"] == "6443"
        for channel in (b"\0", b"\1"):
            await socket.send_bytes(channel + (6443).to_bytes(2, "little"))
        async with self.api.serve(self.tls()) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))

            async def answers() -> None:
                while piece := await reader.read(65536):
                    await socket.send_bytes(b"\0" + piece)

            task = asyncio.create_task(answers())
            async for message in socket:
                writer.write(message.data[1:])
            task.cancel()
            writer.close()
        return socket


def put(api: FakeApi, folder: Path) -> Tenant:
    """The host's controllers make workloads ready at once; its addresses lead nowhere."""
    tenant = Tenant(api, folder)

    def admit(key: Key, obj: Obj) -> None:
        if key.plural == "services":
            obj["spec"].setdefault("clusterIP", "127.0.0.1")
        if key.plural in {"deployments", "statefulsets"}:
            count = obj["spec"]["replicas"]
            obj["status"] = {"readyReplicas": count, "updatedReplicas": count}

    def run(key: Key, obj: Obj) -> None:
        if key.plural == "deployments" and not api.find("pods", "api-0", key.namespace):
            api.put("pods", pod("api-0", key.namespace, "a", "api"))

    api.admission.append(admit)
    api.controllers.append(run)
    api.routes["/version"] = lambda _: web.json_response({"gitVersion": "v1.36.3"})
    api.routes["/api/v1/namespaces/vcp-a/pods/api-0/portforward"] = tenant.portforward
    api.put("servicecidrs", {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.43.0.0/16"]}})
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    api.put("storageclasses", {"metadata": {"name": "std", "annotations": default}})
    return tenant
