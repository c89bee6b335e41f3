# SPDX-License-Identifier: BSD-2-Clause
"""SYN-ACKs that nobody asked for, and our own servers as reflectors."""
from board import dashboard
from panels import GREEN, LIMIT, NODE, ORANGE, RED, VIP, each, lines, number, rate, row, states, total

PACKETS, BYTES = "tfo_unsolicited_synack_packets_total", "tfo_unsolicited_synack_bytes_total"
# Of an asymmetric prefix SYN-ACKs are counted, answers or not.
UNASKED = NODE + ', destination!="asymmetric"'
HIT = [("TfoSynAckReflectionVip", "reflection"), ("TfoSynAckReflectionTracked", "reflection")]
REFLECTOR = [("TfoFarmUsedAsReflector", "reflection")]
PREFIX = [("TfoSynAckReflectionPrefix", "reflection")]
RULES = 'rule=~"vip|vip_slow|tracked|carpet|asymmetric|outgoing_syn_flood|reflector|reflector_network"'
REFLECTED = 'outcome=~"reset|timeout"'


def now():
    return [
        row("Now"),
        number("SYN-ACKs nobody asked for", total(rate(PACKETS, UNASKED)),
               "A second, to VIPs and tracked addresses.", "pps", ((None, GREEN), (50, ORANGE), (5000, RED)), HIT),
        number("Their volume", f"8 * {total(rate(BYTES, UNASKED))}", "Of IP, a second.", "bps", runbooks=HIT),
        number("Reflectors", f"max(tfo_unsolicited_synack_reflectors{{{UNASKED}}})",
               "Distinct senders, of the destination that has most (an estimate).", "none"),
        number("Alerts", f"sum(tfo_alert_active{{{NODE}, {RULES}}})",
               "Reflection alerts that tfod has raised. `tfoctl alert list` has victims and senders.", "none",
               ((None, GREEN), (1, RED)), HIT),
        number("Warm", f"min(tfo_monitor_warm{{{NODE}}})",
               "1: the monitor of every node knows all SYNs that may still be answered. 0 for 138 s after a start.",
               "none", ((None, ORANGE), (1, GREEN)), [("TfoTrackingUnproven", "reflection")]),
        number("Taken for answers", f"max(tfo_monitor_false_match_ratio{{{NODE}}})",
               "Share of such SYN-ACKs that are taken for answers by mistake, of the node where it is most.",
               "percentunit", ((None, GREEN), (0.1, ORANGE)), [("TfoTrackingUnproven", "reflection")], decimals=2),
    ]


def victims():
    return [
        row("Our addresses as victims"),
        lines("SYN-ACKs that answer no SYN", each(rate(PACKETS), "destination"),
              "By kind of destination. Of an asymmetric prefix all are counted.", "pps", HIT),
        lines("Fast Open's part", [("option, data", total(rate(PACKETS, NODE + ', tfo="1", payload="1"'))),
                                   ("option", total(rate(PACKETS, NODE + ', tfo="1", payload="0"'))),
                                   ("data", total(rate(PACKETS, NODE + ', tfo="0", payload="1"'))),
                                   ("neither", total(rate(PACKETS, NODE + ', tfo="0", payload="0"')))],
              "The same SYN-ACKs by whether they have a Fast Open option and data.", "pps", HIT, stacked=True),
        lines("Volume", each(f"8 * {rate(BYTES)}", "destination"),
              "Bits of IP a second.", "bps", HIT),
        lines("Reflectors by destination",
              each(f"tfo_unsolicited_synack_reflectors{{{NODE}}}", "destination", most=True),
              "Distinct senders (an estimate).", "none"),
        lines("Resets that answer no SYN", each(rate("tfo_unsolicited_resets_total"), "destination"),
              "Closed ports of others answer SYNs with our addresses like this.", "pps"),
        states("Alerts raised", each(f"tfo_alert_active{{{NODE}, {RULES}}} > bool 0", "rule", "severity", most=True),
               "What tfod raised, and when.", HIT),
        lines("SYNs out, SYN-ACKs in", [
            ("{{prefix}} in", total(rate("tfo_prefix_synacks_total"), "prefix")),
            ("{{prefix}} out", total(rate("tfo_prefix_syns_out_total"), "prefix"))],
              "Of asymmetric prefixes, all nodes together.", "pps", PREFIX),
        lines("Excess", [("{{prefix}}", 'prefix:tfo_synack_excess:rate1m{job=~"$job"}'),
                         (LIMIT, "tfo:synack_prefix_excess:threshold")],
              "SYN-ACKs beyond the SYNs that left, all nodes of the job together.", "pps", PREFIX),
    ]


def reflectors():
    return [
        row("Our servers as reflectors"),
        lines("Reset or never answered", [
            ("{{vip}}", 'vip:tfo_handshakes_reflected:ratio_rate5m{job=~"$job", vip=~"$vip"}'),
            (LIMIT, "tfo:reflected_ratio:threshold")],
              "Share of the handshakes that valid cookies opened.", "percentunit", REFLECTOR, most=1),
        lines("Handshakes that nobody wanted", each(rate("tfo_handshakes_total", f"{VIP}, {REFLECTED}"), "outcome"),
              "How their clients took the answer.", "cps", REFLECTOR),
        row("The monitor"),
        lines("Samples lost", [("{{instance}}", rate("tfo_events_lost_total"))],
              "Samples for which there was no room: counts stay exact, names in the evidence become fewer.", "cps",
              [("TfoEventsLost", "daemon")]),
        lines("Posts to Alertmanager", each(rate("tfo_alertmanager_posts_total"), "peer", "result"),
              "By tfod itself.", "cps", [("TfoAlertmanagerAway", "daemon")]),
    ]


def made():
    return dashboard("reflection", "reflection", "SYN-ACKs that nobody asked for, and our own servers as reflectors.",
                     now() + victims() + reflectors())
