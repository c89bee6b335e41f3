#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An application that takes Fast Open and says whose data it got: one line "SOURCE:PORT" for each
connection that brought any, so that a test sees data that was delivered twice.

  nsenter --net=NETNS catcher.py PORT
"""
import socket
import sys

QLEN = 256


def main():
    with socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=QLEN) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, QLEN)
        kept = []  # a handshake that is not over goes on
        print("ready", flush=True)
        while True:
            peer, (address, port) = listener.accept()
            kept.append(peer)
            peer.settimeout(1)
            try:
                if peer.recv(4096):
                    print(f"{address}:{port}", flush=True)
            except OSError:
                pass


if __name__ == "__main__":
    main()
