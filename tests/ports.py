"""Ports for servers that tests start."""

import random
import socket


def free_port() -> int:
    """A port that nobody listens on, below those that systems deal out by themselves."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as server:
            try:
                server.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
