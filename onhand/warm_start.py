"""The command of a flow run where a warm server is near: `python -S -E onhand/warm_start.py SOCKET [ARGUMENTS]`.

It stands for the run towards the worker that has started it: same output, same signals, same exit code. It
imports little on purpose, and none of onhand. Where no warm server answers it becomes `python -m prefect.engine`
itself, which takes seconds longer and does the same.
"""

import array
import json
import os
import signal
import socket
import struct
import sys

_ANSWER = 10.0
"""Seconds to hand the request over; a server that hangs must not hold a run up."""


def hand_over(path: str, arguments: list[str]) -> socket.socket:
    """Ask for the run. Raises OSError when nobody takes it."""
    folder = os.getcwd()  # noqa: PTH109 - pathlib takes as long to import as all the rest
    body = json.dumps({"environment": dict(os.environ), "folder": folder, "arguments": arguments}).encode()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_ANSWER)
    connection.connect(path)
    length = struct.pack("!I", len(body))
    streams = array.array("i", [0, 1, 2])
    connection.sendmsg([length], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
    connection.sendall(body)
    connection.settimeout(None)
    return connection


def wait(connection: socket.socket) -> int:
    """The exit code of the run, negative for a signal. Signals that arrive meanwhile are passed on."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: connection.sendall(b"%d\n" % number))
    said = b""
    while not said.endswith(b"\n"):
        more = connection.recv(4096)
        if not more:
            print("the warm server has gone, and this run with it", file=sys.stderr)
            return 1
        said += more
    return int(json.loads(said)["code"])


def main(arguments: list[str]) -> None:
    try:
        connection = hand_over(arguments[0], arguments[1:])
    except OSError as error:
        print(f"no warm server answers ({error.strerror or error}): this run starts cold", file=sys.stderr)
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "prefect.engine", *arguments[1:]])  # noqa: S606 - Prefect's own
    code = wait(connection)
    if code < 0:
        # End as the run has ended, so that the worker says so.
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
