#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Did a client lose the data of a SYN while the farm rotated its keys?

  rotated.py STATS COUNTERS ACTIVE

STATS: `tfoctl stats -j` of the balancer, which renews. COUNTERS: `farm counters`, of servers that
counted nothing before. ACTIVE: connections whose SYN data was accepted, by the clients' own count.
Exit 1 if one cookie that came was not accepted by the server that it reached.
"""
import json
import sys

COOKIES = ("cookie_current", "cookie_previous", "cookie_staged", "cookie_retired")
WRONG = ("cookie_invalid", "cookie_length", "cookie_revoked", "no_key", "internal_error")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as stats, open(sys.argv[2], encoding="utf-8") as counters:
        vips = json.load(stats)["vips"]
        kernel = json.load(counters)["total"]
    seen = {name: sum(vip["reasons"].get(name, 0) for vip in vips) for name in COOKIES + WRONG}
    sent = sum(seen.values())
    renewed = sum(vip["actions"]["renew"] for vip in vips)
    accepted, refused = kernel["TCPFastOpenPassive"], kernel["TCPFastOpenPassiveFail"]
    print("SYNs with a cookie and data, as the validator judged them:")
    for name, number in seen.items():
        if number:
            print(f"  {number:7}  {name}")
    print(f"  {renewed:7}  of them renewed in XDP")
    print("The servers' kernels:")
    print(f"  {accepted:7}  accepted with their data")
    print(f"  {refused:7}  refused")
    print(f"The clients' kernels:\n  {int(sys.argv[3]):7}  whose data was taken with the SYN")
    lossless = sent > 0 and refused == 0 and sent == accepted == int(sys.argv[3])
    print(f"  lost: {sent - accepted + refused} of {sent}")
    sys.exit(0 if lossless else 1)


if __name__ == "__main__":
    main()
