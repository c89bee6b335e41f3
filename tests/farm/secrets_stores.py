# SPDX-License-Identifier: BSD-2-Clause
"""The stores whose keys secrets_test.py looks for: how a site uses each, and how people damage it."""
import base64
import json
import pathlib
import re
import secrets
import time

import secret_search
from secrets_site import Failed, http_answer, wait_for


class Scenario:
    """What differs from store to store. `in_use` collects every secret that the daemon holds."""
    name = ""
    misuse = False  # also everything that people do wrong, which is the same for all stores

    def __init__(self):
        self.in_use = set()
        self.typed = []  # secrets that stand on command lines by our own doing

    def pool(self, site):
        """The pool's configuration; makes the files that it names."""
        raise NotImplementedError

    def more(self, site):
        """Further sections of the configuration."""
        return {}

    def begin(self, site):
        """What comes before the first start."""

    def places(self):
        """Where else than at the site secrets could lie: (name, bytes)."""
        return ()

    def plants_that_are_not_found(self):
        """Sentences about what the search does not find in these places."""
        return []

    def close(self):
        """The end."""

    def change_keys(self, site):
        """Rotations, imports and whatever else a running tfod does with this store's keys."""
        raise NotImplementedError

    def damage(self, site):
        """Yields after each thing that makes tfod refuse to start with this store; puts it right again."""
        return iter(())

    def note(self, site):
        self.in_use.update(site.keys())


class KeyringFile(Scenario):
    """Store `file`."""

    def file(self, site):
        return site.state / "web.keys"

    def damage(self, site):
        file = self.file(site)
        good = file.read_text(encoding="ascii")
        key = re.search(r'"key": "([^"]*)"', good)[1]
        wrong = [good.replace(key, bad) for bad in slips(key)]
        wrong += [re.sub(rf'"{field}": ("[^"]*"|\d+)', f'"{field}": "{key}"', good, count=1)
                  for field in ("format", "version", "phase", "place", "fingerprint", "id", "created_at")]
        wrong += [good[:good.index(key) + cut] for cut in (0, 17, 35)] + [key + "\n", f'"{key}"', f'["{key}"]']
        for text in wrong:
            file.write_text(text, encoding="ascii")
            yield
        file.write_text(good, encoding="ascii")
        for mode in (0o644, 0o620, 0o604):
            file.chmod(mode)
            yield
        file.chmod(0o600)


class RotatedFile(KeyringFile):
    name = "file, rotating by itself every second"

    def pool(self, site):
        return {"store": "file", "file": str(self.file(site)), "interval": "1s", "accept_generations": 13}

    def change_keys(self, site):
        def three_more():
            self.note(site)
            return len(self.in_use) >= before + 3
        before = len(self.in_use)
        wait_for("three rotations", three_more)
        import_file = site.private / "refused"
        key = secrets.token_bytes(16)
        import_file.write_text(secret_search.text_of_key(key) + "\n", encoding="ascii")
        import_file.chmod(0o600)
        site.ctl("key", "import", "web", "--key-file", str(import_file), code=2)
        self.in_use.add(key)


class ImportedFile(KeyringFile):
    name = "file, rotated by command and imported"
    misuse = True

    def pool(self, site):
        return {"store": "file", "file": str(self.file(site)), "interval": "0"}

    def change_keys(self, site):
        for _ in range(3):
            site.rotate()
            self.note(site)
        keys = [secrets.token_bytes(16) for _ in range(3)]
        self.in_use.update(keys)
        text = "".join(secret_search.text_of_key(key) + "\n" for key in keys)
        site.ctl("key", "import", "web", "--key-file", "-", text=text, code=0)
        self.note(site)
        site.ctl("-v", "-j", "key", "import", "web", "--key-file", "-", text=text, code=0)
        site.ask(json.dumps({"command": "key-import", "pool": "web", "keys": text.split() * 9}))
        site.ask(json.dumps({"command": "key-import", "pool": "web", "keys": [text.split()[0]] * 2}))


class Derived(Scenario):
    """Store `derived`. The secret is as secret as the keys."""
    name = "derived, over an edge or a middle of an interval, and a new secret"
    interval = 10

    def __init__(self):
        super().__init__()
        self.old, self.new = secrets.token_bytes(32), secrets.token_bytes(32)
        self.in_use.update((self.old, self.new))
        self.typed = [secrets.token_bytes(32)]
        self.good = [self.old]  # contents of the secret's file, one after the other
        self.derived = {}  # by content of the secret's file and interval

    def put(self, site, content, mode=0o600):
        """Nobody ever reads half of it."""
        file = site.private / "secret"
        fresh = site.private / "secret.new"
        fresh.touch(mode=0o600)
        fresh.write_bytes(content)
        fresh.chmod(mode)
        fresh.rename(file)
        return str(file)

    def pool(self, site):
        return {"store": "derived", "secret": self.put(site, self.old), "interval": f"{self.interval}s", "max_skew": "0s"}

    def key_of(self, site, content, index):
        if (content, index) not in self.derived:
            text = site.ctl("key", "derive", "--secret", "-", "--interval", str(self.interval), "--at",
                            str(index * self.interval), text=content, code=0, kind=None)
            self.derived[content, index] = secret_search.key_of_text(text.split(",")[0])
        return self.derived[content, index]

    def note(self, site):
        """The keys of the ring, each of which must be one that the secret gives."""
        index = int(time.time()) // self.interval
        mine = {self.key_of(site, content, at) for content in self.good for at in range(index - 8, index + 3)}
        if not mine.issuperset(site.keys()):
            raise Failed("a key of the ring is not derived from the secret")
        self.in_use.update(mine)

    def change_keys(self, site):
        self.note(site)
        next_one = int(time.time()) // self.interval + 1
        good = f"# secrets\n0 {self.old.hex()}\n{next_one} {self.new.hex()}\n".encode()
        sysctl = pathlib.Path("/proc/sys/net/ipv4/tcp_fastopen_key")
        before = sysctl.read_text(encoding="ascii")
        self.put(site, good)
        self.good.append(good)
        wait_for("servers to change their keys", lambda: sysctl.read_text(encoding="ascii") != before)
        wait_for("the new secret's key", lambda: self.key_of(site, good, next_one) in site.keys())
        self.note(site)
        self.misuse_while_it_runs(site, good)
        self.put(site, good)
        wait_for("the secret to be taken again", lambda: self.trouble(site) is None)
        self.note(site)
        self.misuse_derive(site)

    @staticmethod
    def trouble(site):
        """What tfod says of the secret."""
        conditions = json.loads(site.ctl("-j", "status"))["conditions"]
        return next((json.dumps(one) for one in conditions if one["id"] == "key_store_failed"), None)

    def misuse_while_it_runs(self, site, good):
        said = None
        for content in (good[:-2] + b"g\n", None):
            if content is None:
                (site.private / "secret").unlink()
            else:
                self.put(site, content)
            said = wait_for("tfod to complain", lambda: (text := self.trouble(site)) != said and text)
            site.ctl("-v", "status", code=0)
            site.ctl("-v", "key", "show", code=0)
            site.ctl("key", "rotate", "web", code=2)
            site.show("answers over HTTP", http_answer(site.port, "/metrics"), http_answer(site.port, "/api/overview"))

    def misuse_derive(self, site):
        """What stands on a command line is a secret of its own, since that is searched too."""
        for content in self.damaged():
            site.ctl("key", "derive", "--secret", "-", "--interval", str(self.interval), text=content, code=2,
                     kind="errors of tfoctl")
        for text in self.texts(self.typed[0]):
            for arguments in (["--secret", text, "--interval", "10"], ["--secret", "/" + text, "--interval", "10"],
                              ["--secret", "-", "--interval", text], ["--secret", "-", "--interval", "10", "--at", text],
                              ["--secret", "-", "--interval", "10", text], ["--" + text], [text]):
                site.ctl("key", "derive", *arguments, code=2, kind="errors of tfoctl")

    @staticmethod
    def texts(secret):
        """A secret as text, and with one digit wrong."""
        text = secret.hex()
        return text, text.upper(), text[:20] + "g" + text[21:], secret_search.text_of_key(secret)

    def damaged(self):
        """Contents of a secret file that are no secret."""
        for secret in (self.old, self.new):
            text = secret.hex()
            wrong = [text[:at] + "g" + text[at + 1:] for at in (0, 20, 63)]
            wrong += [text[:-1], text + "0", "0x" + text, text[:32] + " " + text[32:], secret_search.text_of_key(secret),
                      secret.hex(":"), f'"{text}"', base64.b64encode(secret).decode()]
            lines = [f"0 {bad}" for bad in wrong]
            lines += [f"# secrets\n{bad}" for bad in (text, f"{text} 0", f"0{text}", f"0,{text}", f"-1 {text}", f"0x1 {text}",
                                                      f"{1 << 63} {text}", f"{text} {text}")]
            lines += [f"0 {text}\n{bad}" for bad in (f"0 {text}", text, f"{text} 1", f"1 {text[:-1]}")]
            yield from (f"{line}\n".encode() for line in lines)

    def damage(self, site):
        good = self.good[-1]
        for content in (*self.damaged(), b"", self.old[:31], self.old.hex()[:31].encode(), bytes(32)):
            self.put(site, content)
            yield
        for mode in (0o640, 0o604, 0o620):
            self.put(site, good, mode)
            yield
        (site.private / "secret").unlink()
        yield
        self.put(site, good)
        for text in (*self.texts(self.new), base64.b64encode(self.new).decode()):
            for field in ("secret", "store", "interval", "max_skew", "file", "accept_generations", "not_after", "key", text):
                config = json.loads(json.dumps(site.config))
                config["pools"]["web"][field] = text
                site.write(json.dumps(config))
                yield
            config["pools"]["web"] = {**site.config["pools"]["web"], "secret": "/" + text}
            site.write(json.dumps(config))
            yield
        site.write()


SCENARIOS = (RotatedFile, ImportedFile, Derived)


def slips(text):
    """A key's text as somebody gets it wrong."""
    flipped = [text[:at] + "g" + text[at + 1:] for at in (0, 7, 12, 20, 34)]
    return flipped + [text[:-1], text + "0", text + "-" + text[:8], text.replace("-", ""), text.replace("-", ":"),
                      text.replace("-", " "), text.replace("-", "_"), "0x" + text.replace("-", ""), text[1:],
                      text.replace("-", "", 1), text.upper() + "G", text.replace("-", "--")]
