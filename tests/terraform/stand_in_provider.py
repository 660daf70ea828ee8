"""A provider named hashicorp/aws that has the real one's schema and does nothing: all that `terraform test` asks of a provider
that it mocks. Terraform finds it by TF_REATTACH_PROVIDERS, so that no registry is asked.

The protocol is Terraform's tfplugin6, of which one answer holds something: it is written here byte by byte.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc

SOURCE = "registry.terraform.io/hashicorp/aws"
SERVICE = "tfplugin6.Provider"
# What asks whether a configuration is right: an empty answer has no objection.
WITHOUT_OBJECTION = ("ValidateProviderConfig", "ValidateResourceConfig", "ValidateDataResourceConfig", "StopProvider")
# A list of blocks, as the protocol numbers ways of nesting.
LIST = 2


@contextmanager
def serving(schema: dict, kinds: set[str], folder: Path) -> Iterator[dict[str, str]]:
    """Serves these resources and data sources, by names such as `data.aws_ami`; the environment for Terraform."""
    answers = {"GetProviderSchema": provider(schema, kinds), **dict.fromkeys(WITHOUT_OBJECTION, b"")}
    socket = folder / "provider.sock"
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {
        name: grpc.unary_unary_rpc_method_handler(lambda asked, context, answer=answer: answer) for name, answer in answers.items()
    })])  # fmt: skip
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    address = {"Network": "unix", "String": str(socket)}
    attached = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True, "Addr": address}
    try:
        yield {"TF_REATTACH_PROVIDERS": json.dumps({SOURCE: attached})}
    finally:
        server.stop(None).wait(10)


def provider(schema: dict, kinds: set[str]) -> bytes:
    """The answer to GetProviderSchema."""
    answer = field(1, field(2, b""))
    for kind in sorted(kinds):
        number = 3 if kind.startswith("data.") else 2
        name = kind.partition(".")[2]
        answer += field(number, field(1, name.encode()) + field(2, field(2, resource(schema, kind))))
    return answer


def resource(schema: dict, kind: str) -> bytes:
    """Its block: arguments, and what AWS adds to them."""
    described = schema["types"][kind]
    made = block(schema, schema["blocks"].get(described["arguments"], {}))
    return made + b"".join(field(2, attribute(name, type, computed=True)) for name, type in described["found"].items())


def block(schema: dict, arguments: dict) -> bytes:
    made = b""
    for name, one in arguments.items():
        if one["block"] is None:
            # What may be left out may be AWS's to say.
            made += field(2, attribute(name, one["type"], required=one["required"], optional=not one["required"]))
        else:
            inner = schema["blocks"].get(one["block"], {})
            most = b"" if one["many"] else number(5, 1)
            made += field(3, field(1, name.encode()) + field(2, block(schema, inner)) + number(3, LIST) + most)
    return made


def attribute(name: str, type, required: bool = False, optional: bool = False, computed: bool = False) -> bytes:
    flags = ((4, required), (5, optional), (6, computed or optional))
    return field(1, name.encode()) + field(2, json.dumps(type).encode()) + b"".join(number(n, 1) for n, on in flags if on)


def field(key: int, content: bytes) -> bytes:
    """A text, or a message in a message."""
    return varint(key << 3 | 2) + varint(len(content)) + content


def number(key: int, value: int) -> bytes:
    return varint(key << 3) + varint(value)


def varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
