"""Prints how much data of a module is in images: share.py < REPORT (of inspect --json)."""

import json
import sys

report = json.load(sys.stdin)
total = baked = replayed = 0
decisions = []
for module in report["modules"]:
    active = sum(memory["data_bytes"] for memory in module["memories"])
    missing = sum(it["bytes"] for it in module["reasons"] if it["reason"] != "passive")
    passive = sum(it["bytes"] for it in module["reasons"] if it["reason"] == "passive")
    total += active + passive
    baked += active - missing
    replayed += module["segments"]["replayed"]
    reasons = {it["reason"] for it in module["reasons"]}
    decisions += [it["decision"] for it in module["memories"] if it["decision"] != "none"]
    decisions += ["passive"] if "passive" in reasons and not active else []
words = " and ".join(sorted(set(decisions))) or "no data"
more = f", {replayed:,} replayed" if replayed else ""
print(f"{words}: {baked:,} of {total:,} bytes{more}")
