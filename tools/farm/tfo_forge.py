#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""SYNs with data and a made-up Fast Open cookie, as an attacker without a cookie sends them.

  tfo_forge.py SOURCE ADDRESS PORT COUNT     IPv4; SOURCE is an address of this host

The last segment's data ends in "forged COUNT of COUNT".
"""
import os
import socket
import struct
import sys


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def segment(source, destination, port, number, count):
    options = struct.pack("!BBHBB", 2, 4, 1460, 34, 10) + os.urandom(8) + b"\1\1"
    data = f"GET / HTTP/1.0\r\nX-Forged: forged {number} of {count}".encode()
    sport, sequence = 20000 + number, int.from_bytes(os.urandom(4), "big")
    words = (len(options) + 20) // 4

    def header(check):
        return struct.pack("!HHIIBBHHH", sport, port, sequence, 0, words << 4, 2, 64240, check, 0)

    pseudo = source + destination + struct.pack("!BBH", 0, 6, words * 4 + len(data))
    return header(checksum(pseudo + header(0) + options + data)) + options + data


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    source, address, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.bind((source, 0))
        for number in range(1, count + 1):
            packed = segment(socket.inet_aton(source), socket.inet_aton(address), port, number, count)
            raw.sendto(packed, (address, 0))


main()
