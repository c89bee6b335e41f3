# SPDX-License-Identifier: BSD-2-Clause
"""Looks for secrets in texts, files and processes, in every form in which one could come out.

What is looked for is always eight bytes: any two neighbouring words of a key, that is either half
and the middle. Whoever has half a key has broken it, and every whole form holds the half one.
"""
import base64
import os
import pathlib
import re
import stat
import struct

WINDOW = 8  # bytes
WORD = 4  # bytes; the kernel's text writes each as a little-endian number


def key_of_text(text):
    """The 16 bytes of the kernel's text form (proc_tcp_fastopen_key in net/ipv4/sysctl_net_ipv4.c)."""
    return b"".join(struct.pack("<I", int(word, 16)) for word in text.split("-"))


def text_of_key(key):
    return "-".join(f"{word:08x}" for word in struct.unpack(f"<{len(key) // WORD}I", key))


def plain_hex(key):
    return key.hex()


def _orders(window):
    """The window as it is, each word turned, all turned, and the words in the other order."""
    turned = window[3::-1] + window[:3:-1]
    return {"": window, ", words turned": turned, ", all turned": window[::-1],
            ", words swapped": turned[::-1]}


def _base64(data):
    """What stays of `data` wherever it begins within a longer base64 text, in both alphabets."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data + bytes(3))
        whole = text[-(-8 * shift // 6):8 * (shift + len(data)) // 6]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def _decimals(window):
    """A 64-bit half as a number, of either byte order, with and without a sign."""
    for code in ("<Q", ">Q", "<q", ">q"):
        yield str(struct.unpack(code, window)[0]).encode()


class Needle:
    """One form of eight bytes of one secret."""

    def __init__(self, secret, form, view, text):
        self.secret = secret  # its number
        self.form = form
        self.view = view  # which view of a haystack it is looked for in
        self.text = text


def needles(secrets):
    """All forms of all `secrets` (bytes, a multiple of four and at least eight of them)."""
    found = {}

    def add(number, form, view, text):
        found.setdefault((view, text), Needle(number, form, view, text))

    for number, secret in enumerate(secrets):
        for start in range(0, len(secret) - WINDOW + 1, WORD):
            where = f"bytes {start}..{start + WINDOW - 1}"
            for order, window in _orders(secret[start:start + WINDOW]).items():
                add(number, f"raw {where}{order}", "raw", window)
                add(number, f"hex {where}{order}", "digits", window.hex().encode())
                for text in _base64(window):
                    add(number, f"base64 {where}{order}", "joined", text)
                for hexed in (window.hex(), text_of_key(window), window.hex().upper(), text_of_key(window).upper()):
                    for text in _base64(hexed.encode()):
                        add(number, f"base64 of hex {where}{order}", "joined", text)
            for text in _decimals(secret[start:start + WINDOW]):
                add(number, f"decimal {where}", "raw", text)
            for code in ("<Q", ">Q"):
                text = f"{struct.unpack(code, secret[start:start + WINDOW])[0]:x}".encode()
                add(number, f"hex number {where}", "lower", text)
    return list(found.values())


def _views(data):
    """A haystack as it is; in lower case; its hex digits alone, so that no separator hides one; and
    without line ends, for base64 that is folded."""
    lower = data.lower()
    digits = re.sub(rb"[^0-9a-f]", b"", re.sub(rb"0x|\\x", b"", lower))
    return {"raw": data, "lower": lower, "digits": digits, "joined": re.sub(rb"\\n|\s", b"", data)}


def search(wanted, places):
    """(place, form, number of the secret) for every needle of `wanted` in `places`: pairs (name, bytes)."""
    found = []
    for name, data in places:
        views = _views(data)
        found += [(name, needle.form, needle.secret) for needle in wanted if needle.text in views[needle.view]]
    return found


def is_private(path):
    """Only its owner root may read it, and only root comes into its directory."""
    file, directory = os.lstat(path), os.lstat(pathlib.Path(path).parent)
    return (file.st_uid == 0 and stat.S_IMODE(file.st_mode) & 0o077 == 0
            and directory.st_uid == 0 and stat.S_IMODE(directory.st_mode) & 0o077 == 0)


def files(*roots, every=False):
    """(path, content) of the regular files below `roots` that others can reach, or of `every` one."""
    for root in roots:
        for path in sorted(pathlib.Path(root).rglob("*")):
            if stat.S_ISREG(os.lstat(path).st_mode) and (every or not is_private(path)):
                yield str(path), path.read_bytes()


def processes():
    """(name, bytes) of every process's command line and environment, as /proc shows them now."""
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        for what in ("cmdline", "environ", "comm"):
            try:
                yield f"{what} of a process", (entry / what).read_bytes()
            except OSError:  # it ended
                pass
