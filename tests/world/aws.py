"""AWS itself: moto in this process, behind the front, on the socket that the world has claimed."""

import logging
import socket
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server
from werkzeug.test import Client

from . import objects
from .account import ACCOUNT, BUCKET, REGION
from .faults import Faults
from .front import Front
from .groups import Groups
from .iam import Iam
from .journal import Journal
from .moto_patches import name_versioning_as_s3_does


class QuietHandler(MotoRequestHandler):
    """One request; the record of calls is the log, and a client that hangs up in silence holds no thread for ever."""

    timeout = 120

    def log(self, type: str, message: str, *args) -> None:
        pass


class Aws:
    """The endpoint, answering from the moment it is made for as long as the process lives."""

    def __init__(
        self, listener: socket.socket, groups: Groups, faults: Faults, iam: Iam, requests: Journal, events: Journal
    ):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        name_versioning_as_s3_does()
        s3_backends[ACCOUNT]["aws"].create_bucket(BUCKET, REGION)
        # As every page says that it should be.
        objects.set_versioning("Enabled")
        moto = DomainDispatcherApplication(create_backend_app)
        _warm_up(moto)
        front = Front(moto, groups, faults, iam, requests, events)
        host, port = listener.getsockname()
        # Not ThreadedMotoServer, which binds by itself and leaves no room before its application.
        self._server = make_server(host, port, front, threaded=True, request_handler=QuietHandler, fd=listener.fileno())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="aws", daemon=True).start()


def _warm_up(moto: DomainDispatcherApplication) -> None:
    """moto reads a service's description at its first call, for some 100 ms: no machine shall wait for that."""
    client = Client(moto)
    for service, action in (("autoscaling", "DescribeAutoScalingGroups"), ("ec2", "DescribeInstances")):
        credential = f"AWS4-HMAC-SHA256 Credential=WORLD/20260101/{REGION}/{service}/aws4_request"
        client.post("/", data={"Action": action}, headers={"Authorization": credential, "Host": "aws"})
    client.get(f"/{BUCKET}/none", headers={"Host": "aws"})
