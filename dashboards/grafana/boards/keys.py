# SPDX-License-Identifier: BSD-2-Clause
"""Which keys there are, and how they change."""
from board import dashboard, pools
from panels import GREEN, NODE, ORANGE, POOL, RATE, RED, VIP, each, lines, number, rate, row, states, table, total

HOUR = 3600
STUCK = [("TfoRotationStuck", "keys"), ("TfoNodeLeftBehind", "keys")]


def now():
    return [
        row("Now"),
        number("Oldest current key", f'max(tfo_key_age_seconds{{{POOL}, place="current"}})',
               "Age of the oldest key that servers mint with.", "s", runbooks=[("TfoRotationOverdue", "keys")]),
        number("Next rotation in", f"min(tfo_next_rotation_timestamp_seconds{{{POOL}}} - time())",
               "Time to the next rotation that begins by itself.", "s", ((None, ORANGE), (0, GREEN)),
               [("TfoRotationOverdue", "keys")]),
        number("A current key ends in", f'min(tfo_key_not_after_timestamp_seconds{{{POOL}, place="current"}} - time())',
               "Time to the end of the current key that ends first: from then on its cookies are not accepted.", "s",
               ((None, RED), (HOUR, GREEN)), [("TfoKeyStale", "keys"), ("TfoNoKey", "keys")]),
        number("Servers with Fast Open", f"avg(tfo_server_enabled{{{NODE}}})",
               "Share of the server namespaces whose server bit is set.", "percentunit",
               ((None, RED), (1, GREEN)), [("TfoServerBitWrong", "servers")], decimals=0),
        number("Keys put back", f"sum(increase(tfo_key_repairs_total{{{POOL}}}[$__range]))",
               "Times within the time shown that somebody changed a server's keys and tfod wrote them again.", "none",
               ((None, GREEN), (0.5, ORANGE)), [("TfoKeyRepaired", "keys"), ("TfoKeyFight", "keys")], decimals=0),
        number("Bits put back", f"sum(increase(tfo_server_bit_repairs_total{{{NODE}}}[$__range]))",
               "The same of the server bit of tcp_fastopen.", "none",
               ((None, GREEN), (0.5, ORANGE)), [("TfoKeyRepaired", "keys")], decimals=0),
    ]


def rotation():
    return [
        row("Rotation"),
        states("State of the rotation", each(f"tfo_rotation_state{{{POOL}}}", "pool", "state", most=True),
               "The state of each pool's rotation. A derived pool has no steady one: its keys change with the clock.",
               STUCK),
        lines("Nodes", each(f"tfo_rotation_nodes{{{POOL}}}", "pool", "status"),
              "Of pools in etcd: who has acknowledged the present keys, and who has not, as the leader knows it.",
              "none", STUCK),
        lines("Cookies by key",
              each(rate("tfo_packets_total", f'{VIP}, reason=~"cookie_(current|staged|previous|retired|revoked)"'),
                   "reason"),
              "Which key made the cookies that clients bring: after a rotation they move from one line to the next.",
              "pps", stacked=True),
        lines("Renewed", [("renewed", total(rate("tfo_actions_total", VIP + ', action="renew"'))),
                          ("would be", total(rate("tfo_would_actions_total", VIP + ', action="renew"')))],
              "Cookies of keys that the servers gave up, rewritten to one that they hold.", "pps"),
        lines("Backup key", [("{{netns}}", f'{rate("tfo_kernel_passive_alt_key_total")} / '
                              f'({rate("tfo_kernel_passive_total")} > 0)')],
              "Share of the accepted cookies that a server knew by its backup key. It rises with a rotation and falls "
              "as clients come back.", "percentunit", most=1),
        lines("Rotations", each(f"increase(tfo_rotations_total{{{POOL}}}[{RATE}])", "pool", "result", most=True),
              "Of pools in etcd: how rotations came out.", "none", [("TfoRotationAborted", "keys")]),
    ]


def keys():
    return [
        row("Keys"),
        lines("Age", each(f"tfo_key_age_seconds{{{POOL}}}", "pool", "place", most=True),
              "Of the newest key at each place.", "s"),
        lines("Keys by place", each(f"tfo_key_generations{{{POOL}}}", "pool", "place", most=True),
              "How many keys a pool accepts, and as what.", "none"),
        lines("Changed by somebody else", [
            ("keys, {{sink}}", total(f"increase(tfo_key_repairs_total{{{POOL}}}[{RATE}])", "sink")),
            ("bit, {{netns}}", total(f"increase(tfo_server_bit_repairs_total{{{NODE}}}[{RATE}])", "netns"))],
              "What somebody wrote and tfod put back.", "none", [("TfoKeyFight", "keys")]),
        table("Pools", f"tfo_pool_info{{{POOL}}}", "Pools and where their keys come from.",
              {"instance": "node", "pool": "pool", "source": "keys from"}),
    ]


def made():
    return dashboard("keys", "keys and rotation", "Which keys there are, how they change, and who holds them.",
                     now() + rotation() + keys(), [pools()])
