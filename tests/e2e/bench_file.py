"""Checks what mbtrain bench --json wrote: bench_file.py FILE RANKS [comm]."""
import json
import sys

path, ranks, want_comm = sys.argv[1], int(sys.argv[2]), "comm" in sys.argv[3:]
with open(path, encoding="utf-8") as file:
    bench = json.load(file)


def check(good, what):
    if not good:
        sys.exit(f"{path}: {what}")


def near(a, b, part):
    return abs(a - b) <= part * abs(b)


train = bench["train"]
check(bench["images_per_s"] > 0, "no images_per_s")
check(bench["images_per_s"] == train["images_per_s"], "two figures for images/s")
check(near(train["images"] / train["step_s"], train["images_per_s"], 1e-9), "images/s is not images per step time")
for rate in (train, bench["evaluate"]):
    check(0 < rate["images_per_s_min"] <= rate["images_per_s"] <= rate["images_per_s_max"], "median outside min and max")
    check(rate["steps"] == 3, "wanted 3 steps")
check(bench["ranks"] == ranks and bench["basis"]["ranks"] == ranks, "ranks")
check(bench["basis"]["step_s"] == train["step_s"], "the basis has another step")
# The phases are those of a mean step, which is as long as a step can be.
shortest, longest = (train["images"] / train["images_per_s_" + m] for m in ("max", "min"))
check(0.7 * shortest < sum(bench["phases_s"].values()) < 1.5 * longest, "phases do not add up to a step")
for peak in bench["peaks"].values():
    check(peak > 0.1, "no peak")

# Layers: what they take together is what the profiled pass took, but for the little in between.
for part in ("training", "evaluation"):
    layers = bench[part]["layers"]
    total = sum(layer["seconds"] + layer["reduction_s"] for layer in layers)
    check(0.6 * bench[part]["whole_s"] < total <= 1.02 * bench[part]["whole_s"],
          f"{part}: layers take {total} of {bench[part]['whole_s']} s")
    for layer in layers:
        operations = layer["operations"].values()
        check(near(sum(o["seconds"] for o in operations), layer["seconds"], 1e-9), layer["name"] + ": seconds")
        check(near(sum(o["flops"] for o in operations), layer["flops"], 1e-9), layer["name"] + ": flops")
        check(layer["seconds"] > 0 and layer["flops"] > 0 and layer["bytes"] > 0, layer["name"] + ": nothing")
        check(near(layer["gflops_per_s"], 1e-9 * layer["flops"] / layer["seconds"], 1e-9), layer["name"] + ": rate")
names = [layer["name"] for layer in bench["training"]["layers"]]
check(names == [layer["name"] for layer in bench["evaluation"]["layers"]] and "head.conv" in names, "names")

memory = bench["memory_bytes"]
check(sum(v for k, v in memory.items() if k != "total") == memory["total"], "memory does not add up")

check(("comm" in bench) == want_comm, "comm")
for kind, element in (("exact", 8), ("fp32", 4), ("bf16", 2)) if want_comm else ():
    sums = bench["comm"][kind]
    sizes = sums["sizes"]
    check([size["bytes"] for size in sizes] == [8 << 3 * i for i in range(8)] + [64 << 20], kind + ": sizes")
    check(all(size["seconds"] > 0 for size in sizes), kind + ": seconds")
    if ranks > 1:
        check(sums["s_per_byte"] > 0 and sizes[-1]["seconds"] > sizes[0]["seconds"], kind + ": large is not slower")
        check(near(sums["beta_s_per_byte"], sums["s_per_byte"] * ranks / (2 * (ranks - 1)), 1e-9), kind + ": beta")
print(1000 * train["step_s"])
