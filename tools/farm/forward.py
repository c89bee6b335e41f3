#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Leads connections to a loopback port of this network namespace to one of another.

  forward.py NETNS PORT[-LAST] ADDRESS:PORT     NETNS: a path, such as /run/netns/tfo-demo-lb

Listens on the first free port from PORT to LAST of 127.0.0.1, or on any if all are taken, prints it and goes on
until it is ended. What listens there believes whoever connects here, so only this host can.
"""
import ctypes
import os
import socket
import sys
import threading

CLONE_NEWNET = 0x40000000  # linux/sched.h


def listen(first, last):
    for port in [*range(first, last + 1), 0]:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        listener.listen()
        return listener
    raise OSError("no port of 127.0.0.1 is free")


def carry(source, sink):
    """One direction, to its end."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client, address, port):
    with client:
        try:
            server = socket.create_connection((address, port), 5)
        except OSError:
            return
        with server:
            server.settimeout(None)
            back = threading.Thread(target=carry, args=(server, client), daemon=True)
            back.start()
            carry(client, server)
            back.join()


def main():
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    netns, ports, target = sys.argv[1:]
    first, _, last = ports.partition("-")
    address, _, port = target.rpartition(":")
    listener = listen(int(first), int(last or first))
    # The listener stays where it was made; what is made from here on belongs to the other namespace.
    with open(netns, "rb") as there:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            print(f"forward.py: {netns}: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
            return 2
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, address, int(port)), daemon=True).start()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
