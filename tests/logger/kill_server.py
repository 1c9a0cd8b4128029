"""Forks runs of main.py for the clients of a socket: `python kill_server.py SOCKET`. As run_server.py, but each client
is served by a process of its own, and what it starts can be killed at a place, see kill_places.py."""

import json
import os
import signal
import socket
import sys

import run_server  # what runs share, imported once


def serve(connection: socket.socket) -> None:
    """Start what the client asks for, and tell it the exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = json.loads(connection.makefile().readline())
    os.environ.update(request["environment"])
    child = run_server.start(request["flags"][1:], request["environment"]["OUTPUT"], {}, [])
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(f"{status}\n".encode())


if __name__ == "__main__":
    run_server.prepare()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                serve(connection)
                os._exit(0)
            connection.close()
