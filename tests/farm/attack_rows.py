# SPDX-License-Identifier: BSD-2-Clause
"""The rows of attack_test.py: who attacks, what stands against it, and what must hold then."""
import collections
import contextlib
import subprocess
import sys
import time
from pathlib import Path

from attack_farm import ATTACKERS, BALANCER, EXACT, KEY, SERVERS, WRONG_KEY, attack_farm, guarded
from client_farm import Failed, wait_for

# The policies are as shipped but for what the operator has to say: enforce, and on a balancer that knows
# none of the servers what these take: Fast Open queues of 256 and backlogs of 1022 in all, so an eighth of
# the queues for one client network, half of them for all, and backlogs / 20 unproven SYNs a second.
ENFORCE = {"mode": "enforce"}
SHIPPED = ENFORCE | {"guard": {"limit": 32, "vip_limit": 128}, "unproven_rate": 51}
STOLEN = ("--cookie", "valid")
PLAIN = ("--cookie", "none", "--no-data", "--prefixes", "256", "--rate", "20000")
PLAIN_CLIENTS = 8
FIRST_RETRANSMISSION = 1.0  # second: TCP_TIMEOUT_INIT
COPIES_PORT = 8080
COPIES = ("--cookie", "valid", "--destinations", "1", "--to", f"192.0.2.1:{COPIES_PORT}", "--seed", "7",
          "--rate", "12", "--seconds", "1")

# flood: arguments of the attacker. least: the share of honest tries whose data must be accepted with us;
# most: ... at most without us, None: that run is another row's. overflow: most SYNs that find the servers'
# queues full with us. resets: the attacker's addresses answer. plain: clients that know no Fast Open come,
# too, and each connects once it has sent its SYN again. condition: what tfod says within the row.
# kind: what runs the row. loud: takes all of the machine, so it runs alone.
Row = collections.namedtuple("Row", "name flood least most policy form overflow resets plain condition key kind loud",
                             defaults=(SHIPPED, BALANCER, None, False, 0, None, KEY, "attack", False))
# tries: honest ones. note: what no column shows. faults: bars that were missed.
Result = collections.namedtuple("Result", "honest attack kernel note faults")

GUESSED = (*STOLEN, "--rate", "200", "--acks", "5")
ROWS = [
    Row("stolen, silent", (*STOLEN, "--rate", "100"), 0.99, 0.9, overflow=0),
    Row("stolen, silent, no data", (*STOLEN, "--rate", "100", "--no-data"), 0.99, 0.9, overflow=0),
    Row("stolen, resets", (*STOLEN, "--rate", "100"), 0.99, 0.9, overflow=0, resets=True),
    Row("stolen, hopping", (*STOLEN, "--rate", "200", "--prefixes", "200"), 0.99, 0.9, overflow=0),
    # By limits that are made of what is known of this server, which has other listeners, too.
    Row("stolen, hopping, exact", (*STOLEN, "--rate", "200", "--prefixes", "200"), 0.99, None, ENFORCE, EXACT,
        overflow=0),
    # One way an ACK is only a claim: no bar. Where the servers' queues are seen it is found out.
    Row("guessed ACKs", GUESSED, 0, 0.9),
    Row("guessed ACKs, queues seen", GUESSED, 0, None, ENFORCE, SERVERS, condition="guard_evaded"),
    Row("guessed ACKs, exact", GUESSED, 0.99, None, ENFORCE, EXACT, overflow=0),
    Row("wrong key", None, 0, None, SHIPPED | {"on_invalid": "drop"}, key=WRONG_KEY, condition="drop_disarmed",
        kind="wrong key"),
    Row("duplicates", COPIES, 0, None, kind="duplicates"),
    Row("quiet", None, 0.99, 1.0, loud=True),
    Row("forged", ("--cookie", "forged", "--prefixes", "256", "--rate", "600000"), 0.995, 0.5,
        SHIPPED | {"on_invalid": "drop"}, loud=True),
    Row("plain flood, off", PLAIN, 0, None, ENFORCE, SERVERS, condition="syn_cookies", loud=True),
    Row("plain flood, retry", PLAIN, 0.99, 0.5, SHIPPED | {"protect_syn_queue": "retry"}, plain=PLAIN_CLIENTS,
        loud=True),
]


def accepted(honest):
    tries = sum(honest.outcomes.values())
    return honest.outcomes["data"] / tries if tries else 0


def failures(honest):
    return sum(number for answer, number in honest.outcomes.items() if answer.startswith("failed"))


def judge_plain(seconds):
    """(note, faults) of the clients without Fast Open: one retransmission is enough for each."""
    late = [one for one in seconds if one > 2 * FIRST_RETRANSMISSION]
    note = f"plain clients {len(seconds) - len(late)} of {len(seconds)}, p99 {percentile(seconds, 0.99):.0f} ms"
    return note, [f"{len(late)} of {len(seconds)} plain clients did not connect after one retransmission"
                  ] if not seconds or len(late) * 100 > len(seconds) else []


def percentile(times, share):
    """In milliseconds; `times`: sorted seconds."""
    return times[min(len(times) - 1, int(len(times) * share))] * 1000 if times else 0


def judge(row, honest, kernel, guards):
    """(note, faults) of a run with us."""
    note, faults = [], []
    if accepted(honest) < row.least:
        faults.append(f"{accepted(honest):.2%} are accepted, not {row.least:.1%}")
    if row.least and failures(honest):
        faults.append(f"{failures(honest)} honest connections failed")
    if row.overflow is not None and kernel["TCPFastOpenListenOverflow"] > row.overflow:
        faults.append(f"the servers' queues were full {kernel['TCPFastOpenListenOverflow']} times")
    if row.plain:
        said, missed = judge_plain(honest.plain)
        note.append(said)
        faults += missed
    if row.condition:
        wait_for(f"the condition {row.condition}", lambda: any(row.condition in one.conditions() for one in guards))
        note.append(row.condition)
    return note, faults


def attack(farm, guards, row, seconds):
    farm.visit()
    before = farm.kernel()
    if row.flood is None:
        honest, counted = farm.browse(seconds, 0.025), None
    else:
        # The attack alone first: its effect must be there before the honest ones are counted.
        with farm.resets(row.resets), farm.attacked(*row.flood) as counted:
            farm.browse(2, 0.025)
            honest = farm.browse(seconds, 0.025, row.plain if guards else 0)
    kernel = farm.kernel()
    kernel.subtract(before)
    note, faults = judge(row, honest, kernel, guards) if guards else ([], [])
    return Result(honest, counted, kernel, ", ".join(note), faults)


def wrong_key(farm, guards, row, seconds):
    """So many honest clients that too many cookies look invalid, and none of them is dropped."""
    before = farm.kernel()
    honest = farm.browse(seconds, 0.01)
    kernel = farm.kernel()
    kernel.subtract(before)
    note, faults = judge(row, honest, kernel, guards)
    actions = guards[0].ctl("stats", "--vip", "web")["vips"][0]["actions"]
    note.append(f"{actions['demote']} demoted, {actions['drop']} dropped")
    late = sum(one > FIRST_RETRANSMISSION / 2 for one in honest.seconds)
    if actions["drop"] or late or failures(honest):
        faults.append(f"{actions['drop']} SYNs were dropped, {late} clients waited, {failures(honest)} failed")
    return Result(honest, None, kernel, ", ".join(note), faults)


@contextlib.contextmanager
def catcher(farm, server):
    """An application there; the yielded list holds whose data it got, once it has ended."""
    script = str(Path(__file__).with_name("catcher.py"))
    got = []
    with subprocess.Popen(["nsenter", f"--net={farm.netns(server)}", "--", sys.executable, script, str(COPIES_PORT)],
                          stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "ready\n":
            raise Failed("catcher.py did not start")
        try:
            yield got
        finally:
            process.terminate()
            got += process.stdout.read().split()


def duplicates(farm, guards, row, _):
    """The same SYNs with data once to each server."""
    before = farm.kernel()
    with contextlib.ExitStack() as stack:
        got = {}
        for server in farm.servers():
            got[server] = stack.enter_context(catcher(farm, server))
        for server in farm.servers():
            with farm.all_to(server), farm.attacked(*row.flood) as counted:
                pass
        kernel = farm.kernel()
        time.sleep(0.2)
    kernel.subtract(before)
    first, second = (set(got[server]) for server in farm.servers())
    twice = len(first & second)
    faults = []
    if not first or (guards and twice) or (not guards and twice < len(first) - 1):
        faults.append(f"of {len(first)} SYNs with data {twice} reached a second application")
    return Result(None, counted, kernel, f"data of {len(first)} SYNs, {twice} of them seen twice", faults)


KINDS = {"attack": attack, "wrong key": wrong_key, "duplicates": duplicates}


def run(binaries, row, with_us, seconds):
    with attack_farm(binaries) as farm, guarded(farm, row.form, row.policy if with_us else None, row.key) as guards:
        return KINDS[row.kind](farm, guards, row, seconds)
