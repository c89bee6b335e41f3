# SPDX-License-Identifier: BSD-2-Clause
"""Does Fast Open work, for how many, and what does it save?"""
from board import dashboard
from panels import GREEN, NODE, ORANGE, RATE, RED, VIP, each, lines, number, rate, row, states, table, total

SYNS = "tfo_packets_total"


def syns(*reasons):
    return total(rate(SYNS, f'{VIP}, reason=~"{"|".join(reasons)}"'))


def quantile(share):
    return f"histogram_quantile({share}, {total(rate('tfo_syn_to_ack_seconds_bucket', VIP), 'le')})"


def health():
    raised = ((None, GREEN), (1, ORANGE))
    return [
        row("Health"),
        number("Nodes", f"sum(up{{{NODE}}})", "Nodes whose tfod answers Prometheus.", "none",
               ((None, RED), (1, GREEN)), [("TfoDown", "daemon")]),
        number("Conditions", f"sum(tfo_condition_active{{{NODE}}})",
               "Things that tfod finds wrong now, all nodes together. `tfoctl status` has the evidence.", "none",
               raised),
        number("Alerts", f"sum(tfo_alert_active{{{NODE}}})",
               "Alerts that tfod itself has raised. `tfoctl alert list` shows them.", "none", raised),
        number("SYNs with Fast Open",
               f'{syns("request", "cookie_.+")} / {syns("plain", "data_no_option", "request", "cookie_.+")}',
               "Share of the SYNs to VIPs that ask for a cookie or bring one.", "percentunit", decimals=1),
        number("Round trips saved", total(rate("tfo_handshakes_total", VIP + ', outcome="accepted"')),
               "Connections a second whose request was accepted with the SYN: each has saved a round trip.", "cps"),
        number("Waiting saved", total(rate("tfo_syn_to_ack_seconds_sum", VIP)),
               "Seconds of waiting that clients were spared, each second: the time from SYN to ACK of the handshakes "
               "that valid cookies opened.", "s"),
    ]


def adoption():
    classes = [
        ("no Fast Open", syns("plain")), ("asks for a cookie", syns("request")),
        ("good cookie", syns("cookie_current", "cookie_staged", "cookie_previous")),
        ("old cookie", syns("cookie_retired")),
        ("bad cookie", syns("cookie_revoked", "cookie_invalid", "cookie_length")),
        ("other", syns("data_no_option", "no_key", "option_ignored", "internal_error"))]
    kernel = [(legend, total(rate(f"tfo_kernel_{name}_total"))) for legend, name in (
        ("data accepted", "passive"), ("refused", "passive_fail"), ("cookie asked for", "cookie_reqd"),
        ("queue full", "listen_overflow"), ("SYN cookies", "syncookies_sent"))]
    return [
        row("Adoption"),
        lines("SYNs to VIPs", classes, "By what their Fast Open option is worth.", "pps", stacked=True),
        lines("Servers", kernel,
              "What the kernels of the servers made of it: their own counters, all namespaces together.", "cps",
              [("TfoKernelRefusals", "servers"), ("TfoListenOverflow", "servers")]),
        lines("From SYN to ACK", [("half of them", quantile(0.5)), ("95 %", quantile(0.95)), ("99 %", quantile(0.99))],
              "Time from a SYN with a valid cookie to the client's ACK: a round trip, and what the server takes to "
              "answer.", "s"),
        lines("What is done", each(rate("tfo_actions_total", VIP), "action"),
              "SYNs by what was done with them: nearly all pass.", "pps", [("TfoDropDisarmed", "guard")]),
        lines("What enforcing would do", each(rate("tfo_would_actions_total", VIP), "action"),
              "The same SYNs if every VIP enforced: look here before you set a VIP's mode to enforce.", "pps"),
        lines("Packets to no VIP", each(rate(SYNS, NODE + ', vip=""'), "reason"),
              "What comes in beside, by class.", "pps", [("TfoInternalErrors", "daemon")]),
    ]


def data_plane():
    return [
        row("Data plane and daemon"),
        table("Programs", f"tfo_program_info{{{NODE}}}", "Where the XDP program runs, and how.",
              {"instance": "node", "ifname": "interface", "hook": "hook", "xdp_mode": "mode", "tag": "program"},
              [("TfoProgramDetached", "daemon"), ("TfoXdpGenericMode", "daemon")]),
        table("Versions", f"tfo_build_info{{{NODE}}}", "What runs where.",
              {"instance": "node", "version": "version", "revision": "revision", "kernel": "kernel"}),
        states("Conditions raised", [("{{condition}}", f"max by (condition) (tfo_condition_active{{{NODE}}}) > 0")],
               "What tfod found wrong, and when."),
        lines("Run time of a program", [("{{program}}", f'{rate("tfo_program_run_seconds_total")} / '
                                         f'({rate("tfo_program_runs_total")} > 0)')],
              "Mean time of a run, if the kernel measures it (sysctl kernel.bpf_stats_enabled=1, which costs some "
              "itself).", "s"),
        lines("Maps", [("{{map}}", f"tfo_map_entries{{{NODE}}} / tfo_map_capacity{{{NODE}}}")],
              "Share of their entries that is taken.", "percentunit", [("TfoMapNearlyFull", "daemon")], most=1),
        lines("CPU of tfod", [("{{instance}}", rate("process_cpu_seconds_total"))],
              "Share of one CPU. The program on the wire is not in it.", "percentunit"),
        lines("Memory of tfod", [("{{instance}}", f"process_resident_memory_bytes{{{NODE}}}")],
              "Resident memory. The BPF maps are not in it.", "bytes"),
        lines("File descriptors", [("{{instance}}", f"process_open_fds{{{NODE}}} / process_max_fds{{{NODE}}}")],
              "Share of those that tfod may have open.", "percentunit", [("TfoOpenFilesHigh", "daemon")], most=1),
        lines("Events lost", [("guard, {{instance}}", total(rate("tfo_guard_events_lost_total"), "instance")),
                              ("monitor, {{instance}}", rate("tfo_events_lost_total"))],
              "Events for which there was no room. Counters are exact all the same.", "cps",
              [("TfoEventsLost", "daemon")]),
        lines("Starts", [("{{instance}}", f"changes(process_start_time_seconds{{{NODE}}}[{RATE}])")],
              "Times that tfod started.", "none", [("TfoRestarting", "daemon")]),
    ]


def made():
    return dashboard("overview", "overview", "Whether TCP Fast Open works, and for how many.",
                     health() + adoption() + data_plane())
