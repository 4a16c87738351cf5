"""JupyterHub with SwarmSpawner, as the peer in `cargo xtask bench spawn`.

Everything is JupyterHub's and dockerspawner's default, except what the place dictates: no IPVS (so `dnsrr` and host-mode ports), one
node for both sides, the same memory and user as essaim gives.
"""

import asyncio
import os

from dockerspawner import SwarmSpawner

c = get_config()  # noqa: F821 (JupyterHub defines it)
place = {name.removeprefix("BENCH_"): value for name, value in os.environ.items() if name.startswith("BENCH_")}


class HostPortSpawner(SwarmSpawner):
    """SwarmSpawner looks for published ports in the service; those of host mode are told by the task."""

    async def get_ip_and_port(self):
        while True:
            task = await self.get_task()
            ports = task["Status"].get("PortStatus", {}).get("Ports", [])
            if ports:
                return place["NODE_ADDRESS"], ports[0]["PublishedPort"]
            await asyncio.sleep(0.05)


c.JupyterHub.spawner_class = HostPortSpawner
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = f"http://{place['PUBLIC']}"
c.JupyterHub.hub_bind_url = f"http://{place['HUB']}"
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = os.path.abspath("cookie_secret")
c.ConfigurableHTTPProxy.command = [place["PROXY_COMMAND"]]
c.ConfigurableHTTPProxy.api_url = f"http://{place['PROXY_API']}"

# The bench starts servers through the REST API.
c.JupyterHub.services = [{"name": "bench", "api_token": place["TOKEN"]}]
scopes = ["admin:users", "admin:servers", "access:servers"]
c.JupyterHub.load_roles = [{"name": "bench", "scopes": scopes, "services": ["bench"]}]

c.DockerSpawner.image = place["IMAGE"]
c.DockerSpawner.client_kwargs = {"base_url": place["DOCKER"]}
c.DockerSpawner.tls_config = {}
c.DockerSpawner.use_internal_ip = False
c.DockerSpawner.environment = {"HOME": "/tmp", "SHELL": "/bin/bash"}
c.Spawner.cmd = ["jupyterhub-singleuser"]
# Ten at once take longer on two cores than the defaults allow (30 and 60 s): a peer that gives up could not be compared.
c.Spawner.http_timeout = 170
c.Spawner.start_timeout = 170
c.Spawner.mem_limit = "512M"
c.Spawner.mem_guarantee = "512M"
c.SwarmSpawner.extra_container_spec = {"user": "6001:6001", "init": True}
c.SwarmSpawner.extra_placement_spec = {"constraints": [place["CONSTRAINT"]]}
c.SwarmSpawner.extra_endpoint_spec = {"mode": "dnsrr", "ports": {None: (8888, "tcp", "host")}}
