#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TCP Fast Open from Python: sendto(MSG_FASTOPEN) takes the place of connect()."""
import socket
import struct
import sys

TIMEOUT = struct.pack("ll", 10, 0)  # struct timeval


def fetch(address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as peer:
        # Not settimeout(): it makes the socket non-blocking, and the first sendto() fail with EINPROGRESS.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIMEOUT)
        request = b"GET / HTTP/1.0\r\nHost: farm\r\n\r\n"
        sent = peer.sendto(request, socket.MSG_FASTOPEN, (address, port))
        peer.sendall(request[sent:])
        answer = b""
        while chunk := peer.recv(4096):
            answer += chunk
    status = answer.split(b"\r\n", 1)[0]
    if b" 200" not in status:
        sys.exit(f"tfo_client.py: {address} port {port} answered {status!r}")


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: tfo_client.py ADDRESS PORT COUNT")
    for _ in range(int(sys.argv[3])):
        fetch(sys.argv[1], int(sys.argv[2]))


main()
