# SPDX-License-Identifier: BSD-2-Clause
"""A farm whose balancer's tfod is scraped by Debian's Prometheus, which has the rules of the repository and
an Alertmanager to tell. For dashboards_test.py."""
import collections
import contextlib
import json
import pathlib
import re
import signal
import subprocess
import sys
import urllib.parse

from attack_farm import attack_farm
from client_farm import DEADLINE, ROOT, VIPS, Failed, Node, output, vip_address, wait_for
from etcd_members import etcd_members
from fetcher import Fetcher

TFOD, PROMETHEUS, ALERTMANAGER = "127.0.0.1:9413", "127.0.0.1:9090", "127.0.0.1:9093"
PROMETHEUS_FILES = ROOT / "dashboards/prometheus"
SCRAPE = 1  # seconds
BPF_STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
# Of the example; what a test has no time for.
TIMES = {"scrape_interval: 15s": f"scrape_interval: {SCRAPE}s",
         "evaluation_interval: 15s": f"evaluation_interval: {SCRAPE}s",
         "/etc/prometheus/tfoguard/*.yml": "rules/*.yml"}
Series = collections.namedtuple("Series", "labels points")  # points: (time, value)


class Balancer(Node):
    """tfod with everything that it has metrics of: pools of a file and of etcd, servers, guard, policies, monitor."""

    def __init__(self, farm, etcd):
        self.farm, self.etcd, self.bpffs = farm, etcd, farm.directory / "bpf-lb"
        self.bpffs.mkdir()
        output("mount", "-t", "bpf", "bpf", str(self.bpffs))
        super().__init__(farm, "lb", self.wanted())

    def wanted(self):
        farm, directory = self.farm, self.farm.directory
        return {
            "instance": farm.name, "bpffs": str(self.bpffs),
            "pools": {"web": {"store": "file", "file": str(directory / "web.keys"), "interval": "24h"},
                      "api": {"store": "etcd", "interval": "24h"}},
            "farm": {"name": farm.name, "node": "lb", "key_file": str(directory / "farm.key"),
                     "lease": "3s", "etcd": {"endpoints": self.etcd.endpoints()}},
            "interfaces": [{"name": farm.info["balancer_interface"], "mode": "native", "egress": True}],
            "vips": [{"name": "web", "pool": "web", "mode": "enforce", "renew": True, "on_invalid": "demote",
                      "addresses": [vip_address(number, 4) for number in range(1, VIPS + 1)]},
                     {"name": "api", "pool": "api", "addresses": [vip_address(1, 6)]}],
            "server": {"namespaces": [{"netns": farm.netns(server), "pool": "web"} for server in farm.servers()]},
            "monitor": {"tracked": [{"name": "office", "prefixes": ["198.51.100.0/28"]}],
                        "prefixes": [{"name": "transit", "prefix": "10.0.0.0/8", "kind": "asymmetric"}]},
            "alerts": {"rules": {"vip": {"warning": {"hold": "2s"}}}},
        }

    def configure(self, config):
        super().configure(config | {"http": {"listen": TFOD}})

    def tell(self, url):
        """Reloads it with an Alertmanager to post to."""
        config = json.loads(self.config.read_text(encoding="utf-8"))
        config["alerts"]["alertmanager"] = {"urls": [url], "resend": "1s", "expires": "60s"}
        self.configure(config)
        self.process.send_signal(signal.SIGHUP)

    def key(self):
        """The key that it mints with, as text."""
        return output(*self.ctl_command("key", "export", "web")).split(",")[0].strip()

    def rotate(self, pool):
        self.ask(command="key-rotate", pool=pool)

    def begin(self):
        self.farm.exec("lb", str(self.binaries / "tfoctl"), "farm", "init", "--config", str(self.config), "api")
        self.start()

    def close(self):
        subprocess.run(self.ctl_command("detach"), capture_output=True, check=False)
        self.stop()
        output("umount", str(self.bpffs))


class Site:
    """All of them in the balancer's namespace."""

    def __init__(self, farm, etcd):
        self.farm, self.netns = farm, farm.netns("lb")
        self.balancer = Balancer(farm, etcd)
        self.fetcher = Fetcher(self.netns)

    @contextlib.contextmanager
    def running(self, *command, netns=None):
        with open(self.farm.directory / f"{command[0].rsplit('/', 1)[-1]}.log", "ab") as log:
            process = subprocess.Popen(["nsenter", f"--net={netns or self.netns}", "--", *command],
                                       cwd=self.farm.directory, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, start_new_session=True)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(DEADLINE)

    def configure(self):
        """The example and the rules, but for their times: what takes minutes in the rules takes seconds here, of which
        a rate needs some more."""
        text = (PROMETHEUS_FILES / "prometheus.yml").read_text(encoding="utf-8")
        for before, after in TIMES.items():
            if before not in text:
                raise Failed(f"dashboards/prometheus/prometheus.yml has no {before!r}")
            text = text.replace(before, after)
        (self.farm.directory / "prometheus.yml").write_text(text, encoding="utf-8")
        (self.farm.directory / "alertmanager.yml").write_text(
            "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n", encoding="utf-8")
        rules = self.farm.directory / "rules"
        rules.mkdir()
        for file in (PROMETHEUS_FILES / "rules").glob("*.yml"):
            text = re.sub(r"^( +for: \d+)m$", r"\1s", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            text = re.sub(r"\[(\d+)m\]", lambda window: f"[{4 * SCRAPE * int(window[1])}s]", text)
            (rules / file.name).write_text(text, encoding="utf-8")

    def get(self, place, path, **parameters):
        text = self.fetcher.get(f"http://{place}{path}?{urllib.parse.urlencode(parameters)}")
        if not text:
            raise Failed(f"http://{place}{path} is not to be had\n{self.complain()}")
        return json.loads(text)

    def answers(self, place):
        return bool(self.fetcher.get(f"http://{place}/-/ready"))

    def ask(self, path, **parameters):
        """Of Prometheus's API; complains where it refuses."""
        reply = self.get(PROMETHEUS, f"/api/v1/{path}", **parameters)
        if reply["status"] != "success":
            raise Failed(f"Prometheus refuses {parameters}: {reply['error']}")
        return reply["data"]

    def history(self, expression, start, end):
        """Every series that it gives between these times, second by second."""
        data = self.ask("query_range", query=expression, start=start, end=end, step=SCRAPE)
        return [Series(one["metric"], [(at, float(value)) for at, value in one["values"]]) for one in data["result"]]

    def alerts(self, state="firing"):
        return {one["labels"]["alertname"] for one in self.ask("alerts")["alerts"] if one["state"] == state}

    def holds(self, pool):
        """How many keys a pool accepts, as Prometheus last saw it."""
        result = self.ask("query", query=f'sum(tfo_key_generations{{pool="{pool}", place!="revoked"}})')["result"]
        return int(result[0]["value"][1]) if result else 0

    def told(self):
        """What Alertmanager has: from Prometheus the alert's name, from tfod the rule's."""
        return {one["labels"].get("alertname") or one["labels"]["rule"]
                for one in self.get(ALERTMANAGER, "/api/v2/alerts")}

    def metrics(self):
        return self.fetcher.get(f"http://{TFOD}/metrics").decode()

    def reflected(self, rate):
        """SYN-ACKs to VIPs, to tracked addresses and to an asymmetric prefix, until the context ends."""
        nodes = self.farm.info["nodes"]
        return self.running(sys.executable, str(ROOT / "tests/farm/synacks.py"), "lb",
                            nodes["lb"]["mac"], str(rate), nodes["c1"]["address4"],
                            *(vip_address(number, 4) for number in (1, 2, 3)), "10.0.0.9", "198.51.100.1",
                            netns=self.farm.netns("net"))

    def complain(self):
        logs = [self.farm.directory / "lb/tfod.log", *sorted(self.farm.directory.glob("*.log"))]
        return "\n".join(f"{log.name}:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}" for log in logs)


@contextlib.contextmanager
def programs_measured():
    """Meanwhile the kernel measures every BPF program's run time."""
    before = BPF_STATS.read_text(encoding="ascii")
    BPF_STATS.write_text("1\n", encoding="ascii")
    try:
        yield
    finally:
        BPF_STATS.write_text(before, encoding="ascii")


@contextlib.contextmanager
def dashboard_site(binaries):
    with contextlib.ExitStack() as stack:
        stack.enter_context(programs_measured())
        farm = stack.enter_context(attack_farm(binaries))
        site = Site(farm, stack.enter_context(etcd_members(farm.netns("lb"))))
        stack.callback(site.fetcher.close)
        stack.callback(site.balancer.close)
        site.configure()
        stack.enter_context(site.running(
            "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus",
            f"--web.listen-address={PROMETHEUS}", "--log.level=warn"))
        stack.enter_context(site.running(
            "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alertmanager",
            "--cluster.listen-address=", f"--web.listen-address={ALERTMANAGER}"))
        site.balancer.begin()
        for place in (PROMETHEUS, ALERTMANAGER):
            wait_for(f"{place} to answer", lambda place=place: site.answers(place), site.complain)
        wait_for("Prometheus to have seen tfod", lambda: site.holds("web"), site.complain)
        yield site
