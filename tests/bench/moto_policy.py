"""Run by moto's own interpreter: microseconds of one decision on the policy that standard input holds."""

import json
import statistics
import sys
import time

from moto.iam.access_control import IAMPolicy, PermissionResult

question = json.load(sys.stdin)
policy = IAMPolicy(json.dumps(question["policy"]))
assert policy.is_action_permitted(question["action"], question["resource"]) is PermissionResult.PERMITTED
means = []
for _ in range(7):
    start = time.perf_counter()
    for _ in range(2000):
        policy.is_action_permitted(question["action"], question["resource"])
    means.append((time.perf_counter() - start) / 2000)
print(statistics.median(means) * 1e6)
