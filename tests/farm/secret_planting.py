# SPDX-License-Identifier: BSD-2-Clause
"""A key put on purpose where none may be, in every form that secret_search looks for."""
import base64
import contextlib
import http.server
import os
import secrets
import subprocess
import threading

import secret_search
from secrets_site import http_answer, wait_for


def new_key():
    """A key of which no byte, word or half has a zero in front, and whose halves are negative as signed
    numbers: every form of it is whole, and fits on a command line."""
    return bytes(secrets.randbelow(0x70) + 0x80 for _ in range(16))


def _words(key):
    text = secret_search.text_of_key(key)
    k0, k1 = (int.from_bytes(key[at:at + 8], "little") for at in (0, 8))
    return {"kernel text": text, "kernel text, upper case": text.upper(), "without dashes": text.replace("-", ""),
            "kernel text, first half": text[:17], "kernel text, second half": text[18:],
            "kernel text, words apart": ", ".join(text.split("-")), "hex": key.hex(), "hex, upper case": key.hex().upper(),
            "hex, first half": key[:8].hex(), "hex, second half": key[8:].hex(), "hex, all turned": key[::-1].hex(),
            "hex with blanks": key.hex(" "), "hex with colons": key.hex(":"),
            "hex escapes": "".join(f"\\x{byte:02x}" for byte in key),
            "hex bytes": ", ".join(f"0x{byte:02x}" for byte in key), "k0 k1": f"{k0:#018x} {k1:#018x}",
            "k1 k0": f"{k1:#x},{k0:#x}", "k0": f"{k0:x}", "k1": f"{k1:X}", "k0 decimal": str(k0), "k1 decimal": str(k1),
            "k0 signed": str(k0 - (1 << 64)), "k1 k0 decimal": f"[{k1}, {k0}]"}


def forms(key):
    """Name: bytes."""
    turned = bytes.fromhex(secret_search.text_of_key(key).replace("-", ""))
    found = {"raw": key, "raw, first half": key[:8], "raw, second half": key[8:], "raw, the middle": key[4:12],
             "raw, all turned": key[::-1], "raw, words turned": turned}
    found.update({name: text.encode() for name, text in _words(key).items()})
    for name, data in (("raw", key), ("half", key[8:]), ("words turned", turned),
                       ("kernel text", secret_search.text_of_key(key).encode()), ("hex", key.hex().encode())):
        for before in range(3):
            text = base64.b64encode(b"~" * before + data)
            found[f"base64 of {name} after {before}"] = text
            found[f"base64 of {name} after {before}, unpadded"] = text.rstrip(b"=")
            found[f"base64 of {name} after {before} and before more"] = base64.b64encode(b"~" * before + data + b"~?>0")
            found[f"base64 of {name} after {before}, URL-safe"] = text.translate(bytes.maketrans(b"+/", b"-_"))
    return found


# Each of these puts `planted` in its place and yields the name under which the search must find it.


@contextlib.contextmanager
def _in_log(site, planted):
    with open(site.log, "ab") as log:
        log.write(b"debug: the key is " + planted + b"\n")
    yield "the log"
    os.truncate(site.log, 0)


@contextlib.contextmanager
def _over_http(site, planted):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'tfo_key_info{key="' + planted + b'"} 1\n')

        def log_message(self, *_):
            pass
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        site.show("answers over HTTP", http_answer(server.server_port, "/metrics"))
        thread.join()
    yield "answers over HTTP"
    site.texts.clear()


@contextlib.contextmanager
def _in_error(site, planted):
    site.show("errors of tfod", b"tfod: '" + planted + b"' is no key\n")
    yield "errors of tfod"
    site.texts.clear()


@contextlib.contextmanager
def _running(arguments, environment, ready):
    child = subprocess.Popen(arguments, executable="sleep", env=environment)
    wait_for("a process", lambda: any(ready in data for _, data in secret_search.processes()))
    try:
        yield
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def _in_command_line(_, planted):
    with _running([b"--key=" + planted, b"600"], {}, b"--key=" + planted):
        yield "cmdline of a process"


@contextlib.contextmanager
def _in_environment(_, planted):
    with _running(["sleep", "600"], {b"TFO_KEY": planted, b"PATH": os.environb[b"PATH"]}, b"TFO_KEY=" + planted):
        yield "environ of a process"


def _in_file(where, mode, directory_mode):
    @contextlib.contextmanager
    def plant(site, planted):
        directory = site.directory / where
        directory.mkdir(exist_ok=True)
        before = directory.stat().st_mode & 0o777
        directory.chmod(directory_mode)
        file = directory / "planted"
        file.write_bytes(b'{"key": "' + planted + b'"}')
        file.chmod(mode)
        yield str(file)
        file.unlink()
        directory.chmod(before)
    return plant


PLACES = {
    "the log": _in_log,
    "metrics": _over_http,
    "an error text": _in_error,
    "a command line": _in_command_line,
    "an environment": _in_environment,
    "a state file of mode 0644": _in_file("state", 0o644, 0o700),
    "a state file of mode 0620": _in_file("state", 0o620, 0o700),
    "a state file of mode 0604": _in_file("state", 0o604, 0o700),
    "a private file where others come in": _in_file("state", 0o600, 0o755),
    "a file of the run directory": _in_file("run", 0o644, 0o755),
}
