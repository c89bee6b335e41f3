#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Addresses whose hosts answer a SYN-ACK that they did not ask for: with a RST, as Linux sends it
(tcp_v4_send_reset: no ACK, its number is the SYN-ACK's acknowledgement), one round trip later. By then
the server has accepted the connection; an answer that comes sooner costs it nothing.

  nsenter --net=NETNS resetter.py INTERFACE PREFIX16 MILLISECONDS
"""
import collections
import select
import socket
import struct
import sys
import time

ETH_P_IP = 0x0800
SYN_ACK = 0x12
RST = 0x04


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~((total & 0xffff) + (total >> 16)) & 0xffff


def reset_of(packet, prefix):
    """The IP packet that answers this one, or nothing."""
    header = (packet[0] & 15) * 4
    tcp = packet[header:header + 20]
    if packet[9] != socket.IPPROTO_TCP or len(tcp) < 20 or tcp[13] & 0x17 != SYN_ACK or packet[16:18] != prefix:
        return None
    source, destination = packet[16:20], packet[12:16]
    ports = tcp[2:4] + tcp[0:2]
    segment = ports + tcp[8:12] + bytes(4) + bytes((0x50, RST)) + bytes(6)
    pseudo = source + destination + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, socket.IPPROTO_TCP, 0) + source + \
        destination + segment


def main():
    interface, prefix, delay = sys.argv[1], socket.inet_aton(sys.argv[2])[:2], float(sys.argv[3]) / 1000
    seen = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
    seen.bind((interface, ETH_P_IP))
    answer = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    waiting = collections.deque()
    print("ready", flush=True)
    while True:
        patience = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([seen], [], [], patience)[0]:
            packet = reset_of(seen.recv(2048), prefix)
            if packet:
                waiting.append((time.monotonic() + delay, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            packet = waiting.popleft()[1]
            answer.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))


if __name__ == "__main__":
    main()
