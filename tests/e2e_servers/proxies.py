"""Proxies with a configuration each, in front of a server that is not watched."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import harness
import load
import players
from client import Tls

# A stream is handed on event by event, as everybody configures it who puts it in front of such a server.
NGINX = """
daemon off;
user {user};
worker_processes 2;
pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_max_body_size 1m;
    client_body_buffer_size 1m;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    upstream engine {{ server 127.0.0.1:{to}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port}{ssl};
        ssl_certificate {crt};
        ssl_certificate_key {key};
        location / {{
            proxy_pass http://engine;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""

HAPROXY = """
global
    maxconn 512
defaults
    mode http
    option http-no-delay
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend clients
    bind 127.0.0.1:{port}{ssl}
    default_backend engine
backend engine
    server engine 127.0.0.1:{to}
"""

LIGHTTPD = """
server.modules = ("mod_proxy")
server.document-root = "{home}"
server.errorlog = "{home}/error.log"
server.upload-dirs = ("{home}")
server.bind = "127.0.0.1"
server.port = {port}
server.stream-response-body = 2
proxy.server = ("" => (("host" => "127.0.0.1", "port" => {to})))
"""


@dataclass(frozen=True)
class Proxy:
    name: str
    configuration: str
    command: Callable[[str], list[str]]  # of the configuration's path
    tls: bool = False
    ssl: str = ""  # what the configuration adds where TLS is spoken
    user: str = "root"
    # haproxy waits for the answer all the same, and sends it (or answers 400 itself, with abortonclose); so
    # does lighttpd.
    sees_departures: bool = True
    # lighttpd makes a whole response of a broken one that was short enough to be held back.
    hands_on_breaks: bool = True

    def plan(self, n: int, seed: int) -> list[load.Call]:
        plan = load.scripted_plan(n, seed, leaves_early=self.sees_departures)
        return [c for c in players.plain_departures(plan) if self.hands_on_breaks or c.error != "truncated"]

    def missing(self) -> str:
        program = self.command("")[0]
        if not shutil.which(program):
            return f"{program} is missing: sh tools/deps.sh servers"
        return "needs root" if self.user != "root" and os.getuid() else ""

    def server(self, home: Path, to: int) -> harness.Server:
        key, crt = harness.certificate(home)
        (home / "both.pem").write_text(Path(crt).read_text() + Path(key).read_text())
        port = harness.free_port()
        values = {"home": home, "to": to, "port": port, "key": key, "crt": crt, "user": self.user}
        values["ssl"] = self.ssl.format(home=home) if self.tls else ""
        path = home / "configuration"
        path.write_text(self.configuration.format(**values))
        command = self.command(str(path))
        return harness.Server(self.name, command, Tls(port) if self.tls else port, "scripted", True)


def nginx(name: str, **more: object) -> Proxy:
    return Proxy(name, NGINX, lambda path: ["/usr/sbin/nginx", "-c", path, "-e", "stderr"], ssl=" ssl", **more)


def haproxy(name: str, **more: object) -> Proxy:
    ssl = " ssl crt {home}/both.pem"
    return Proxy(name, HAPROXY, lambda path: ["/usr/sbin/haproxy", "-db", "-f", path], ssl=ssl, sees_departures=False, **more)


PROXIES = [
    nginx("nginx"),
    nginx("nginx-tls", tls=True),
    # Its workers drop root before they serve; their rings are root's and nobody else's.
    nginx("nginx-tls-www-data", tls=True, user="www-data"),
    haproxy("haproxy"),
    haproxy("haproxy-tls", tls=True),
    Proxy(
        "lighttpd",
        LIGHTTPD,
        lambda path: ["/usr/sbin/lighttpd", "-D", "-f", path],
        sees_departures=False,
        hands_on_breaks=False,
    ),
]
