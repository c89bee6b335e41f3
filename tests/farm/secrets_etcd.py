# SPDX-License-Identifier: BSD-2-Clause
"""The store `etcd` for secrets_test.py: what etcd has on its disks, write-ahead log included, is searched
with the rest, through rotations, a revocation, changes of the farm key, and somebody's writing to etcd."""
import contextlib
import json
import re

import secret_planting
import secret_search
from etcd_members import etcd_members
from secrets_site import Failed, wait_for
from secrets_stores import Scenario, slips

POOL = "/tfo/edge/web/"
LEASE = 3  # seconds


class Shared(Scenario):
    """Store `etcd`, of a farm with one node. The farm key is as secret as the keys."""
    name = "etcd, through rotations, revocations, other farm keys and tampering"

    def __init__(self):
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.etcd = self.stack.enter_context(etcd_members())

    def close(self):
        self.stack.close()

    def key_file(self, site):
        return site.private / "farm.key"

    def pool(self, site):
        return {"store": "etcd", "interval": "1h", "not_after": "2h", "accept_generations": 13}

    def more(self, site):
        return {"farm": {"name": "edge", "node": "one", "key_file": str(self.key_file(site)), "lease": f"{LEASE}s",
                         "etcd": {"endpoints": self.etcd.endpoints()}}}

    def begin(self, site):
        site.ctl("farm", "init", "--config", str(site.config_file), code=0)
        site.ctl("farm", "init", "--config", str(site.config_file), code=1)
        self.note_farm_key(site)

    def note_farm_key(self, site):
        lines = self.key_file(site).read_text(encoding="ascii").splitlines()
        self.in_use.update(bytes.fromhex(line.split()[1]) for line in lines)

    def places(self):
        """Everything that etcd keeps, private or not. What is not written yet of a file that was made large is
        left out."""
        for name, content in secret_search.files(self.etcd.directory, every=True):
            yield name, content.rstrip(b"\0")

    # What a running tfod does

    def change_keys(self, site):
        self.note(site)
        for _ in range(2):
            site.rotate()
            self.note(site)
        yesterday = self.etcd.get(POOL + "ring")
        self.revoke(site)
        self.misuse(site)
        self.tamper(site, yesterday)
        self.rekey(site)
        self.rekey(site, "--revoke-all")
        site.rotate()
        for command in (["key", "history"], ["node", "list"], ["status"], ["top", "--once"]):
            site.ctl(*command, code=0)
            site.ctl("-j", *command, code=0)
        self.note(site)

    def status(self, site):
        site.ask(json.dumps({"command": "farm-status", "pool": "web"}))
        return json.loads(site.ctl("-j", "node", "list", code=0))

    def current(self, site):
        status = self.status(site)
        found = [one["id"] for one in status["generations"] if one["slot"] == "current"]
        return found[0] if status["state"] == "steady" and not status["waits_for"] else None

    def revoke(self, site):
        bad = self.current(site)
        site.ctl("key", "revoke", bad, code=0)
        wait_for("another key", lambda: self.current(site) not in (None, bad))
        self.note(site)

    def misuse(self, site):
        """A key where a generation, a node, a request is wanted."""
        key = secret_planting.new_key()
        self.in_use.add(key)
        text = secret_search.text_of_key(key)
        for word in (text, key.hex(), *slips(text)[:3]):
            for fields in ({"kind": word}, {"kind": "revoke", "generation": word}, {"kind": "forget", "node": word},
                           {"kind": "rekey", "key": word}):
                site.ask(json.dumps({"command": "farm-request", "pool": "web", **fields}))
            site.ask(json.dumps({"command": "farm-" + word, "pool": "web"}))
        good = self.key_file(site).read_text(encoding="ascii")
        for line in self.bad_lines(good):
            self.put_key_file(site, good + line + "\n")
            site.ctl("farm", "new-line", "--config", str(site.config_file), code=2)
            site.ctl("farm", "init", "--config", str(site.config_file), code=2)
        self.put_key_file(site, good)

    def tamper(self, site, yesterday):
        """Whoever writes to etcd; each of it is refused and told."""
        genuine = self.etcd.get(POOL + "ring")
        sealed = json.loads(genuine)
        box = sealed["box"]
        spoilt = json.dumps(sealed | {"box": box[:99] + ("A" if box[99] != "A" else "B") + box[100:]}).encode()
        for value, condition in ((yesterday, "store_rolled_back"), (spoilt, "store_refused"), (b"garbage", "store_refused")):
            self.etcd.put(POOL + "ring", value)
            wait_for(condition, lambda one=condition: one in site.ctl("status", code=0))
            wait_for("the genuine document", lambda: self.etcd.get(POOL + "ring") == genuine)
        for name in ("ack/one", "member/one"):
            self.etcd.put(POOL + name, spoilt)
            wait_for("a genuine record", lambda one=name: self.etcd.get(POOL + one) != spoilt)
        self.note(site)

    def rekey(self, site, *options):
        site.ctl("farm", "new-line", "--config", str(site.config_file), code=0)
        self.note_farm_key(site)
        newest = len(self.key_file(site).read_text(encoding="ascii").splitlines())

        def done():
            site.ctl("farm", "rekey", "web", *options, "--wait")  # refused until the file was read again
            return json.loads(self.etcd.get(POOL + "ring"))["key"] == newest
        wait_for("the farm to be sealed under another line", done)
        wait_for("an acknowledgement", lambda: self.current(site))
        self.note(site)

    # What makes it refuse to start

    def put_key_file(self, site, text, mode=0o600):
        file = self.key_file(site)
        file.write_text(text, encoding="ascii")
        file.chmod(mode)

    @staticmethod
    def bad_lines(text):
        """The first line as somebody gets it wrong."""
        number, digits = text.splitlines()[0].split()
        return (digits, f"{digits} {number}", f"99 {digits[:-1]}", f"99 {digits}0", f"99 g{digits[1:]}", f"-1 {digits}",
                f"{digits} {digits}", f"99 {digits}", f"{number} {digits[:32]}{digits[:32]}", f"99,{digits}", f'"{digits}"')

    def damage(self, site):
        good = self.key_file(site).read_text(encoding="ascii")
        for line in self.bad_lines(good):
            self.put_key_file(site, good + line + "\n")
            yield
        for text in ("", good[:20], re.sub(r"\d+ [0-9a-f]{32}", f"3 {'0' * 32}", good)):
            self.put_key_file(site, text)
            yield
        for mode in (0o640, 0o604, 0o620):
            self.put_key_file(site, good, mode)
            yield
        self.put_key_file(site, good)
        state = site.state / "web.rotation"
        content = state.read_text(encoding="ascii")
        key = secret_search.text_of_key(sorted(self.in_use)[0][:16])
        for text in (content[:40], key, f'"{key}"', content.replace('"tfoguard rotation"', f'"{key}"'),
                     content.replace('"joined"', f'"{key}"')):
            state.write_text(text, encoding="ascii")
            yield
        state.write_text(content, encoding="ascii")

    # Does the search look where it must?

    def plants_that_are_not_found(self):
        """Forms of a key that is put into etcd and not found in every member's write-ahead log."""
        missed = []
        for form in ("raw", "kernel text", "hex", "base64 of raw after 1"):
            key = secret_planting.new_key()
            self.etcd.put("/planted", b'{"key":"' + secret_planting.forms(key)[form] + b'"}')
            wanted = secret_search.needles([key])

            def logs(sought=wanted):
                found = {place for place, _, _ in secret_search.search(sought, self.places())}
                return {place for place in found if "/member/wal/" in place}
            try:
                wait_for("a planted key in all logs", lambda sought=logs: len(sought()) == len(self.etcd.endpoints()))
            except Failed:
                missed.append(f"{form} in etcd's write-ahead logs is found in {len(logs())} of them")
        return missed
