# SPDX-License-Identifier: BSD-2-Clause
"""The rows of attack_test.py: who attacks, what stands against it, and what must hold then."""
import collections
import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path

from attack_farm import KEY, WRONG_KEY, attack_farm
from attack_guard import BALANCER, EXACT, SERVERS, Watch, guarded
from client_farm import Failed, wait_for

# The policies are as shipped: the operator says "enforce", and the limits come from the listeners. Only a
# balancer that knows none of the servers has to be told what these take: Fast Open queues of 256 and backlogs
# of 1022 in all, so an eighth of one server's queue for one client network, half of all queues for all, and
# backlogs / 20 unproven SYNs a second.
ENFORCE = {"mode": "enforce"}
TOLD = ENFORCE | {"guard": {"limit": 16, "vip_limit": 128}, "unproven_rate": 51}
STOLEN = ("--cookie", "valid")
SILENT = (*STOLEN, "--rate", "100")
HOPPING = (*STOLEN, "--rate", "200", "--prefixes", "200")
MANY = (*STOLEN, "--rate", "1000", "--prefixes", "4000")
OTHER_SERVER = 0.35  # of newcomers; one in two comes to the server that it asked
# The same eight SYNs again and again, each answered by a RST 60 ms later (200 frames are 100 SYNs); without data,
# or all but the first would be copies.
REPEATED = (*STOLEN, "--rate", "200", "--tuples", "8", "--resets", "6", "--no-data")
GUESSED = (*STOLEN, "--rate", "200", "--acks", "5")
PLAIN = ("--cookie", "none", "--no-data", "--prefixes", "256", "--rate", "20000")
PLAIN_CLIENTS = 8
FIRST_RETRANSMISSION = 1.0  # second: TCP_TIMEOUT_INIT
COPIES_PORT = 8080
COPIES = ("--cookie", "valid", "--destinations", "1", "--to", f"192.0.2.1:{COPIES_PORT}", "--seed", "7",
          "--rate", "12", "--seconds", "1")
FLOOD_PREFIXES = 1 << 22  # /24s, from 16.0.0.0 on
FLOOD_SYNS = 1_250_000  # each from a /24 that is chance, so 1.08 million of them
FLOODED = (*STOLEN, "--from", "16.0.0.0", "--prefixes", str(FLOOD_PREFIXES), "--rate", "0", "--seconds", "1")
HEAP = 1 << 20  # bytes that tfod may grow by: what it tells of networks is bounded
WAIT = 0.05  # of honest tries: while all of a hopping attack's networks are new they use up what newcomers need, too
PACE = 0.025  # seconds from one honest try to the next

# flood: arguments of the attacker. least: the share of honest tries whose data must be accepted with us;
# most: ... at most without us, None: that run is another row's. new: half of the tries are newcomers',
# with the same bar. overflow: most SYNs that find the servers' queues full with us. resets: the attacker's
# addresses answer. plain: clients that know no Fast Open come, too, and each connects once it has sent its SYN
# again. condition: what tfod says while it lasts, and nothing else of the guard but guard_active. kind: what runs
# the row. loud: takes all of the machine, so it runs alone. lasts: so many seconds, in the long form only.
# strangers: the bar for newcomers where it is another one. Above its cap a VIP opens handshakes only for networks that
# have answered here: asking for the cookie is such an answer, but the other one of two servers has not seen it.
# waits: newcomers may, since there are more networks than unproven_rate; else none has its SYN dropped. like: without
# us it looks like another row, so that run is one for the long form. fastest: SYNs a second that the attack must have
# sent in the long form.
Row = collections.namedtuple(
    "Row", "name flood least most policy form overflow resets plain condition key kind loud new family lasts strangers "
    "waits like fastest",
    defaults=(ENFORCE, SERVERS, None, False, 0, None, KEY, "attack", False, False, 4, None, None, False, False, 0))
# tries: honest ones. note: what no column shows. faults: bars that were missed.
Result = collections.namedtuple("Result", "honest attack kernel note faults")


def stolen(name, flood, most=None, **more):
    """A row of the attackers with a stolen cookie: the same bar for all of them."""
    return Row(f"stolen, {name}", flood, 0.99, most, overflow=0, new=True, **more)


ROWS = [
    stolen("silent", SILENT, 0.9),
    stolen("silent, no data", (*SILENT, "--no-data"), 0.9, like=True),
    stolen("resets", SILENT, 0.9, resets=True, like=True),
    stolen("repeated", REPEATED, 0.9, like=True),
    stolen("hopping", HOPPING, 0.9, strangers=OTHER_SERVER),
    stolen("hopping, 4,000", MANY, strangers=OTHER_SERVER, waits=True),
    stolen("silent, IPv6", SILENT, 0.9, family=6, like=True),
    stolen("hopping, told", HOPPING, policy=TOLD, form=BALANCER),
    stolen("silent, exact", SILENT, form=EXACT),
    stolen("resets, exact", SILENT, form=EXACT, resets=True),
    stolen("repeated, exact", REPEATED, form=EXACT),
    stolen("hopping, exact", HOPPING, form=EXACT, strangers=OTHER_SERVER),
    stolen("hopping, exact, IPv6", HOPPING, form=EXACT, family=6, strangers=OTHER_SERVER),
    # Entries end and their places are taken anew.
    stolen("silent, 200 s", SILENT, lasts=200),
    stolen("hopping, exact, 200 s", HOPPING, form=EXACT, lasts=200, strangers=OTHER_SERVER),
    # One way an ACK is only a claim: no bar. It is found out by the servers' queues.
    Row("guessed ACKs", GUESSED, 0, 0.9, condition="guard_evaded", new=True),
    Row("guessed ACKs, exact", GUESSED, 0.99, None, form=EXACT, overflow=0, new=True),
    Row("wrong key", None, 0, None, TOLD | {"on_invalid": "drop"}, BALANCER, key=WRONG_KEY, condition="drop_disarmed",
        kind="wrong key"),
    Row("duplicates", COPIES, 0, None, TOLD, BALANCER, kind="duplicates"),
    Row("a million prefixes", FLOODED, 0, None, TOLD, BALANCER, kind="memory", loud=True),
    Row("quiet", None, 0.99, 1.0, TOLD, BALANCER, loud=True, like=True),
    Row("forged", ("--cookie", "forged", "--prefixes", "256", "--rate", "600000"), 0.995, 0.5,
        TOLD | {"on_invalid": "drop"}, BALANCER, loud=True, fastest=450_000),
    Row("plain flood, off", PLAIN, 0, None, condition="syn_cookies", loud=True),
    Row("plain flood, retry", PLAIN, 0.99, 0.5, TOLD | {"protect_syn_queue": "retry"}, BALANCER, plain=PLAIN_CLIENTS,
        loud=True),
]


def share(outcomes):
    """Of tries whose data was accepted in the SYN."""
    tries = sum(outcomes.values())
    return outcomes["data"] / tries if tries else 0


def accepted(honest):
    return share(honest.outcomes + honest.newcomers)


def failures(honest):
    return sum(number for answer, number in (honest.outcomes + honest.newcomers).items()
               if answer.startswith("failed"))


# Clients whose packets may be lost in a short run, where sender, program and servers share two cores.
LOST = 3


def judge_plain(seconds):
    """(note, faults) of the clients without Fast Open: one retransmission is enough for each. Of the few of a short run
    one in five may lose it, too: sender, program and servers share two cores, which others may want as well."""
    late = [one for one in seconds if one > 2 * FIRST_RETRANSMISSION]
    note = f"plain clients {len(seconds) - len(late)} of {len(seconds)}, p99 {percentile(seconds, 0.99):.0f} ms"
    return note, [f"{len(late)} of {len(seconds)} plain clients did not connect after one retransmission"
                  ] if not seconds or len(late) > len(seconds) // (5 if len(seconds) < 100 else 100) else []


def percentile(times, share):
    """In milliseconds; `times`: sorted seconds."""
    return times[min(len(times) - 1, int(len(times) * share))] * 1000 if times else 0


def judge(row, honest, kernel, watch):
    """(note, faults) of a run with us."""
    note, faults = [], []
    strangers = row.least if row.strangers is None else row.strangers
    for who, outcomes, least in (("", honest.outcomes, row.least), (" of the newcomers", honest.newcomers, strangers)):
        total = sum(outcomes.values())
        if total and total - outcomes["data"] > max(LOST, (1 - least) * total):
            faults.append(f"{share(outcomes):.2%}{who} are accepted, not {least:.1%}")
    late = sum(one > FIRST_RETRANSMISSION / 2 for one in honest.seconds)
    if row.new and not row.waits and late > len(honest.seconds) * WAIT:
        faults.append(f"{late} of {len(honest.seconds)} honest clients waited")
    if row.least and failures(honest):
        faults.append(f"{failures(honest)} honest connections failed")
    if row.overflow is not None and kernel["TCPFastOpenListenOverflow"] > row.overflow:
        faults.append(f"the servers' queues were full {kernel['TCPFastOpenListenOverflow']} times")
    if row.plain:
        said, missed = judge_plain(honest.plain)
        note.append(said)
        faults += missed
    if row.form != BALANCER or row.policy is TOLD:
        note.append(f"load {watch.peak} of {watch.cap}")
    # What passes on several CPUs at once is seen by none of them.
    if watch.peak > watch.cap * 7 // 4 + 4:
        faults.append(f"{watch.peak} handshakes were open at once, the cap is {watch.cap}")
    false = watch.said & {"guard_blind", "guard_evaded"} - {row.condition}
    if false:
        faults.append(f"nothing is the matter, but {', '.join(sorted(false))} was raised")
    return note, faults


def await_condition(row, guards):
    if row.condition:
        wait_for(f"the condition {row.condition}", lambda: any(row.condition in one.conditions() for one in guards))
    return [row.condition] if row.condition else []


def attack(farm, guards, row, seconds):
    if row.new:
        farm.visit()
    before = farm.kernel()
    pace = PACE / 2 if row.new else PACE
    with Watch(guards) as watch:
        if row.flood is None:
            honest, counted = farm.clients.browse(seconds, pace), None
        else:
            # The attack alone first: its effect must be there before the honest ones are counted.
            with farm.resets(row.resets), farm.attacked(*row.flood) as counted:
                farm.clients.browse(2, pace, row.new)
                honest = farm.clients.browse(seconds, pace, row.new, row.plain if guards else 0)
                said = await_condition(row, guards) if guards else []
    kernel = farm.kernel()
    kernel.subtract(before)
    note, faults = judge(row, honest, kernel, watch) if guards else ([], [])
    return Result(honest, counted, kernel, ", ".join((said if row.flood else []) + note), faults)


def wrong_key(farm, guards, row, seconds):
    """So many honest clients that too many cookies look invalid, and none of them is dropped."""
    before = farm.kernel()
    honest = farm.clients.browse(seconds, 0.01)
    kernel = farm.kernel()
    kernel.subtract(before)
    note, faults = await_condition(row, guards), []
    actions = guards[0].ctl("stats", "--vip", "web")["vips"][0]["actions"]
    note.append(f"{actions['demote']} demoted, {actions['drop']} dropped")
    late = sum(one > FIRST_RETRANSMISSION / 2 for one in honest.seconds)
    if actions["drop"] or late > len(honest.seconds) * WAIT or failures(honest):
        faults.append(f"{actions['drop']} SYNs were dropped, {late} clients waited, {failures(honest)} failed")
    return Result(honest, None, kernel, ", ".join(note), faults)


def cost(farm):
    """What a SYN out of a network of its own costs, in words."""
    bench = subprocess.run([farm.binaries / "tfoctl", "-j", "bench", "--case", "guard_flood", "--family", "4",
                            "--runs", "3"], check=True, capture_output=True)  # its progress is not for the table
    return " and ".join(f"{row['net_ns']:.0f} ns {row['tables']}" for row in json.loads(bench.stdout)["rows"])


def memory(farm, guards, row, _):
    """More client networks than any table has rows for: it takes what it took before."""
    guard, rounds = guards[0], []
    before = farm.kernel()

    def flood():
        with farm.attacked(*row.flood) as counted:
            pass
        rounds.append(counted)

    flood()  # what the first flood touches is there from then on
    tables, heap = guard.memory()
    rounds.clear()
    while sum(one["syns"] for one in rounds) < FLOOD_SYNS:
        flood()
    total = {name: sum(one[name] for one in rounds) for name in ("syns", "seconds")}
    now_tables, now_heap = guard.memory()
    kernel = farm.kernel()
    kernel.subtract(before)
    note = (f"tables {tables / 2**20:.2f} MiB then {now_tables / 2**20:.2f}, heap {heap / 2**20:.2f} then "
            f"{now_heap / 2**20:.2f}")
    faults = [] if tables and now_tables == tables and now_heap <= heap + HEAP else [f"memory is not constant: {note}"]
    return Result(None, total, kernel, f"{note}; a SYN costs {cost(farm)}", faults)


@contextlib.contextmanager
def catcher(farm, server):
    """An application there; the yielded list holds whose data it has got."""
    script = str(Path(__file__).with_name("catcher.py"))
    got = []
    with subprocess.Popen(["nsenter", f"--net={farm.netns(server)}", "--", sys.executable, script, str(COPIES_PORT)],
                          stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "ready\n":
            raise Failed("catcher.py did not start")
        reader = threading.Thread(target=lambda: got.extend(line.strip() for line in process.stdout))
        reader.start()
        try:
            yield got
        finally:
            process.terminate()
            reader.join()


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
        kernel.subtract(before)
        taken = kernel["TCPFastOpenPassive"]
        wait_for(f"{taken} times data", lambda: sum(len(one) for one in got.values()) >= taken, lambda: str(got))
    first, second = (set(got[server]) for server in farm.servers())
    twice, again = len(first & second), min(len(first), counted["syns"])  # that came to the second, too
    faults = []
    if again < 2 or (guards and twice) or (not guards and twice < again - 1):
        faults.append(f"of {len(first)} SYNs with data {twice} reached a second application")
    return Result(None, counted, kernel, f"data of {len(first)} SYNs, {twice} of them seen twice", faults)


KINDS = {"attack": attack, "wrong key": wrong_key, "duplicates": duplicates, "memory": memory}


def run(binaries, row, with_us, seconds):
    with (attack_farm(binaries, row.family) as farm,
          guarded(farm, row.form, row.policy if with_us else None, row.key) as guards):
        return KINDS[row.kind](farm, guards, row, row.lasts or seconds)
