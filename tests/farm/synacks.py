#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a victim of reflection receives: SYN-ACKs that answer nothing, from many sources, some with a Fast
Open cookie or with data, and resets of closed ports. A tenth as many SYNs leave an address that is not here.

  nsenter --net=NETNS synacks.py INTERFACE MAC PACKETS_A_SECOND SYN_TO VICTIM...

MAC: of the next hop. SYN_TO: where the SYNs go, from 10.0.0.9. Ends when it is killed.
"""
import itertools
import socket
import struct
import sys
import time

from resetter import checksum

SYN, SYN_ACK, RST_ACK = 0x02, 0x12, 0x14
COOKIE = bytes((34, 10)) + b"sixteen." + bytes((1, 1))
SYN_SOURCE = "10.0.0.9"
SOURCES = 5000


def frame(mac, addresses, ports, flags, option=b"", data=b""):
    """IPv4 in Ethernet; `addresses`, `ports`: of source and destination. A closed port's RST has number 0."""
    length = (5 + len(option) // 4) << 4
    tcp = struct.pack("!HHIIBBHHH", *ports, int(flags != RST_ACK), 2, length, flags, 65535, 0, 0) + option + data
    source, destination = (socket.inet_aton(one) for one in addresses)
    pseudo = source + destination + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp + bytes(len(tcp) % 2))) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, source, destination)
    return mac + bytes(6) + b"\x08\x00" + ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


def frames(mac, syn_to, victims):
    """All kinds in turn."""
    for number in itertools.count():
        ports, victim = (443, 1024 + number % 60000), victims[number % len(victims)]
        source = f"198.19.{number % SOURCES // 200}.{1 + number % 200}"
        if number % 10 == 0:
            yield frame(mac, (SYN_SOURCE, syn_to), ports[::-1], SYN)
        elif number % 10 == 1:
            yield frame(mac, (source, victim), ports, RST_ACK)
        else:
            option, data = COOKIE if number & 2 else b"", b"response" if number & 4 else b""
            yield frame(mac, (source, victim), ports, SYN_ACK, option, data)


def main():
    interface, mac, rate, syn_to, *victims = sys.argv[1:]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    began = time.monotonic()
    for number, one in enumerate(frames(bytes.fromhex(mac.replace(":", "")), syn_to, victims)):
        wire.send(one)
        time.sleep(max(0, began + number / float(rate) - time.monotonic()))


if __name__ == "__main__":
    main()
