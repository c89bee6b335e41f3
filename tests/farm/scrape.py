# SPDX-License-Identifier: BSD-2-Clause
"""What a tfod's /metrics says, as a dictionary."""
import collections
import re
import subprocess

SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Scrape:
    """Values by family and labels."""

    def __init__(self, text):
        self.text = text
        self.families = collections.defaultdict(dict)
        self.types = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            if line.startswith("#"):
                continue
            name, labels, value = SAMPLE.match(line).groups()
            self.families[name][frozenset(LABEL.findall(labels or ""))] = float(value)

    def all(self, family, **labels):
        """(labels, value) of each series that has these labels."""
        wanted = set(labels.items())
        return [(dict(found), value) for found, value in self.families.get(family, {}).items() if wanted <= found]

    def sum(self, family, **labels):
        return sum(value for _, value in self.all(family, **labels))

    def one(self, family, **labels):
        """The value of the one series that has these labels."""
        values = [value for _, value in self.all(family, **labels)]
        if len(values) != 1:
            raise KeyError(f"{family}{labels}: {len(values)} series")
        return values[0]

    def fallen(self, before):
        """Counters that are lower than in an earlier scrape, or gone."""
        wrong = []
        for name, samples in before.families.items():
            family = re.sub("_(bucket|count|sum)$", "", name)
            if before.types.get(name) != "counter" and before.types.get(family) != "histogram":
                continue
            for labels, value in samples.items():
                now = self.families.get(name, {}).get(labels)
                if now is None or now < value:
                    wrong.append(f"{name}{dict(labels)}: {value} then {now}")
        return wrong


def scrape(netns, *curl, url="http://127.0.0.1:9413/metrics"):
    """`netns`: a path."""
    done = subprocess.run(["nsenter", f"--net={netns}", "--", "curl", "-sSf", "--max-time", "10", *curl, url],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(done.stderr)
    return Scrape(done.stdout)
