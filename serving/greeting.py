"""The server's messages at its start: its addresses with commands to copy, or an error if an address is in use."""

import socket
from contextlib import suppress


def address(host: str, port: int) -> str:
    """Return `host:port`, with the brackets that an IPv6 address needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def cannot_listen(what: str, where: str, flag: str) -> OSError:
    """Return the error for an address on which the server cannot listen."""
    return OSError(f"{what} cannot listen on {where}: choose another {flag}, or -1 for a free one")


def check_free(what: str, host: str, port: int, flag: str) -> None:
    """Raise OSError if a port is in use, before the models are loaded."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise cannot_listen(what, address(host, port), flag) from error


def say(line: str) -> None:
    """Print a line and flush it, because another process may read it from a pipe; a full disk loses the line."""
    with suppress(OSError):
        print(line, flush=True)


def say_ready(host: str, port: int, rest_port: int, names: list[str], studio: str = "") -> None:
    """Print the addresses of the server, and an example request."""
    if studio:
        say(f"studio: {studio}")
    say(f"ready: grpc {address(host, port)} rest {address(host, rest_port) if rest_port else '-'}")
    near = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    for line in _examples(address(near, port), address(near, rest_port) if rest_port else "", names):
        say(f"  {line}")


def _examples(grpc_address: str, rest_address: str, names: list[str]) -> list[str]:
    if not names:
        return ["no model yet: push one, and it is served within seconds"]
    draws = "text_to_image" in names
    python = f'Client("{grpc_address}").generate("a red house")[0].save("picture.png")'
    ask = f'print(Client("{grpc_address}").signatures("{names[0]}"))'
    lines = [f"python -c 'from serving.client import Client; {python if draws else ask}'"]
    if rest_address and draws:
        body = '{"instances": [{"prompt": "a red house", "seed": 0}]}'
        lines.insert(0, f"curl -d '{body}' http://{rest_address}/v1/models/text_to_image:predict")
    elif rest_address:
        lines.insert(0, f"curl http://{rest_address}/v1/models/{names[0]}")
    return lines
