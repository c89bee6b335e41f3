#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fast Open connections on demand, each from an address of its own: the kernel keeps one cookie per
pair of addresses (tcp_fastopen_cache_get), so that every source address is a client with a memory.
It remembers about five sources for each destination (TCP_METRICS_RECLAIM_DEPTH in
net/ipv4/tcp_metrics.c).

  nsenter --net=NETNS dialer.py      one line "SOURCE DESTINATION PORT [plain]" in, one answer out:
                                     "data" (the SYN's data was accepted), "asked" (there was no
                                     cookie yet, so the SYN asked for one), "refused" (the data had
                                     to be sent again), "repeated" (the SYN had to), "plain" (Fast
                                     Open was not wanted), or "failed WHY"; and behind a tab the seconds from connect to
                                     the last byte of the answer

As a module: Dialer, the other end of that.
"""
import socket
import struct
import subprocess
import sys
import time

TIMEOUT = struct.pack("ll", 5, 0)  # struct timeval
IP_FREEBIND = 15
IPV6_FREEBIND = 78
TCPI_OPT_SYN_DATA = 32  # include/uapi/linux/tcp.h: the SYN-ACK acknowledged the SYN's data
TFO_COOKIE_UNAVAILABLE = 1  # enum tcp_fastopen_client_fail, there too
TFO_SYN_RETRANSMITTED = 3
REQUEST = b"GET / HTTP/1.0\r\nHost: farm\r\n\r\n"


def dial(source, destination, port, plain=False):
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as peer:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            peer.setsockopt(socket.SOL_SOCKET, option, TIMEOUT)
        if family == socket.AF_INET6:
            peer.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        else:
            peer.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        peer.bind((source, 0))
        if plain:
            peer.connect((destination, port))
        sent = 0 if plain else peer.sendto(REQUEST, socket.MSG_FASTOPEN, (destination, port))
        peer.sendall(REQUEST[sent:])
        answer = b""
        while chunk := peer.recv(4096):
            answer += chunk
        if b" 200" not in answer.split(b"\r\n", 1)[0]:
            return f"failed answered {answer[:40]!r}"
        if plain:
            return "plain"
        info = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
        if info[5] & TCPI_OPT_SYN_DATA:
            return "data"
        failed = info[7] >> 1 & 3
        if failed == TFO_SYN_RETRANSMITTED:
            return "repeated"
        return "asked" if failed == TFO_COOKIE_UNAVAILABLE else "refused"


def serve():
    for line in sys.stdin:
        source, destination, port, *how = line.split()
        began = time.monotonic()
        try:
            answer = dial(source, destination, int(port), plain=bool(how))
        except OSError as error:
            answer = f"failed {error}"
        print(f"{answer}\t{time.monotonic() - began:.6f}", flush=True)


class Dialer:
    """A process in a network namespace that dials when it is told to."""

    def __init__(self, netns):
        self.process = subprocess.Popen(["nsenter", f"--net={netns}", "--", sys.executable, __file__],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def dial(self, source, destination, port):
        return self.timed(source, destination, port)[0]

    def timed(self, source, destination, port, plain=False):
        """(answer, seconds it took)."""
        self.process.stdin.write(f"{source} {destination} {port}{' plain' if plain else ''}\n")
        self.process.stdin.flush()
        answer, _, seconds = self.process.stdout.readline().strip().rpartition("\t")
        return answer, float(seconds or 0)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


if __name__ == "__main__":
    serve()
