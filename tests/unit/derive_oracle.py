#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a derived pool by an implementation of its own: BLAKE2b from hashlib, nothing else.

Reads lines `SECRETHEX INTERVAL UNIXTIME`, writes `primary,backup` for each. The scheme is
libsodium's crypto_kdf: BLAKE2b keyed with the secret, no message, salt = the interval's number,
personalisation = the context.
"""

import hashlib
import sys


def key_text(secret, counter):
    salt = (counter % 2**64).to_bytes(8, "little") + bytes(8)
    person = b"tofurkey" + bytes(8)
    hexed = hashlib.blake2b(key=secret, salt=salt, person=person, digest_size=16).hexdigest()
    return "-".join(hexed[i:i + 8] for i in range(0, 32, 8))


for line in sys.stdin:
    secret_hex, interval, time = line.split()
    secret = bytes.fromhex(secret_hex)[:32]
    counter, past = divmod(int(time), int(interval))
    other = counter - 1 if 2 * past < int(interval) else counter + 1
    print(key_text(secret, counter), key_text(secret, other), sep=",")
