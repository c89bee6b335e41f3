# SPDX-License-Identifier: BSD-2-Clause
"""What is enforced, and whom the guard holds to a limit."""
from board import dashboard
from panels import GREEN, LIMIT, NODE, ORANGE, RED, VIP, each, lines, number, rate, row, states, table, total

ACTIVE = [("TfoPrefixGuardActive", "guard")]
INVALID = [("TfoInvalidCookieRatioHigh", "guard"), ("TfoDropDisarmed", "guard")]
OVERFLOW = [("TfoListenOverflow", "servers"), ("TfoGuardEvaded", "guard")]


def now():
    quiet = ((None, GREEN), (0.001, ORANGE))
    load = f'tfo_guard_load{{{VIP}}} / on (job, instance, vip) group_left () tfo_guard_limit{{{VIP}, scope="vip"}}'
    return [
        row("Now"),
        number("Networks over their limit", f"sum(tfo_guarded_networks{{{VIP}}})",
               "Client networks whose Fast Open is demoted. `tfoctl guard list` names them.", "none",
               ((None, GREEN), (1, ORANGE)), ACTIVE),
        number("Fullest VIP", f"max({load})",
               "Open handshakes as a share of what the servers' queues are trusted with, of the VIP where it is most.",
               "percentunit", ((None, GREEN), (0.9, ORANGE), (1.5, RED)), [("TfoGuardNearCap", "guard")], decimals=0),
        number("Refused by the guard", total(rate("tfo_guard_syns_total", VIP)),
               "SYNs a second with a valid cookie that the guard did not like.", "pps", quiet, ACTIVE),
        number("Demoted", total(rate("tfo_actions_total", VIP + ', action="demote"')),
               "SYNs a second that were made requests for a cookie.", "pps"),
        number("Dropped", total(rate("tfo_actions_total", VIP + ', action="drop"')),
               "SYNs a second that were dropped: where a policy says so, or beyond unproven_rate.", "pps", quiet,
               [("TfoDropDisarmed", "guard")]),
        number("Invalid cookies", "max(vip:tfo_cookie_invalid:ratio_rate5m{" + VIP + "})",
               "Share of a VIP's cookies that no key made, of the VIP where it is most, over 5 minutes.", "percentunit",
               ((None, GREEN), (0.1, ORANGE)), INVALID, decimals=1),
    ]


def guard():
    return [
        row("Guard"),
        lines("Open handshakes", [("{{vip}}", f"sum by (vip) (tfo_guard_load{{{VIP}}})"),
                                  ("cap of {{vip}}", f'sum by (vip) (tfo_guard_limit{{{VIP}, scope="vip"}} < Inf)')],
              "Handshakes with a valid cookie that are not answered, and the cap: half of what the VIP's servers hold.",
              "none", [("TfoGuardNearCap", "guard")]),
        lines("Networks over their limit, by VIP", each(f"tfo_guarded_networks{{{VIP}}}", "vip"),
              "Client networks whose Fast Open is demoted.", "none", ACTIVE),
        lines("SYNs that the guard refused", each(rate("tfo_guard_syns_total", VIP), "answer"),
              "over: of a network over its limit. duplicate: a copy of a SYN that was there. denied: by the operator. "
              "held: would wait for a retransmission.", "pps", ACTIVE),
        lines("How handshakes come out", each(rate("tfo_handshakes_total", VIP), "outcome"),
              "Of the handshakes that valid cookies opened.", "cps", [("TfoFarmUsedAsReflector", "reflection")]),
        states("State of the guard", each(f"tfo_guard_state{{{VIP}}}", "vip", "state", most=True),
               "on: it knows limits. blind, evaded: it does not see what it should. qlen_unknown: the servers' queues "
               "are not known, so that there is no limit.", [("TfoGuardBlind", "guard"), ("TfoGuardEvaded", "guard")]),
        lines("Let through all the same", each(rate("tfo_guard_spared_total", VIP), "vip"),
              "SYNs that the guard refused and the policy let pass: signed, or the servers take data without a cookie.",
              "pps", [("TfoDemoteUnsafe", "guard")]),
        table("Limits", f"tfo_guard_limit{{{VIP}}}",
              "Handshakes that may be open; +Inf: no limit, since the queues are not known.",
              {"instance": "node", "vip": "VIP", "scope": "of one", "Value": "handshakes"}),
        table("VIPs", f"tfo_vip_info{{{VIP}}}", "What the configuration asks for.",
              {"instance": "node", "vip": "VIP", "pool": "pool", "mode": "mode", "renew": "renew",
               "on_invalid": "invalid cookies"}),
    ]


def enforcement():
    return [
        row("Cookies and enforcement"),
        lines("Invalid cookies, by VIP", [("{{vip}}", "vip:tfo_cookie_invalid:ratio_rate5m{" + VIP + "}"),
                                  (LIMIT, "tfo:cookie_invalid_ratio:threshold")],
              "Share of a VIP's cookies that no key of the pool made.", "percentunit", INVALID, most=1),
        lines("Demoted, renewed, dropped", [
            ("{{action}}", total(rate("tfo_actions_total", VIP + ', action!="pass"'), "action")),
            ("would {{action}}", total(rate("tfo_would_actions_total", VIP + ', action!="pass"'), "action"))],
              "What was done with SYNs, and what enforcing would have done.", "pps"),
        row("Servers"),
        lines("Fast Open queues", [("{{netns}} port {{port}}", f"tfo_listener_fastopen_pending{{{NODE}}} / "
                                    f"(tfo_listener_fastopen_limit{{{NODE}}} > 0)")],
              "How full the listeners' queues are. A full one switches Fast Open off for everybody.", "percentunit",
              OVERFLOW, most=1),
        lines("Refused for a full queue", [("{{netns}}", rate("tfo_kernel_listen_overflow_total"))],
              "SYNs with a good cookie that the kernel refused (TCPFastOpenListenOverflow).", "cps", OVERFLOW),
        lines("SYN cookies", [("{{netns}}", rate("tfo_kernel_req_q_full_do_cookies_total"))],
              "SYNs that came upon a full SYN queue: their clients get no Fast Open.", "cps",
              [("TfoSuppressedBySynCookies", "servers")]),
        lines("Waiting for accept", [("{{netns}} port {{port}}", f"tfo_listener_accept_queue{{{NODE}}} / "
                                      f"(tfo_listener_backlog{{{NODE}}} > 0)")],
              "How full the accept queues are: an application that does not keep up.", "percentunit", most=1),
    ]


def made():
    return dashboard("guard", "guard and enforcement", "What is enforced, and whom the guard holds to a limit.",
                     now() + guard() + enforcement())
