"""What simulated runs cost, and what membership and decisions cost by the size of the mesh."""

import json
import resource
import subprocess
import sys
import time

from processes import median, mesh, note, table


def simulator(options):
    """Processor time of simulated runs, each seed in a process of its own; then the tables by size."""
    runs = []
    for seed in range(1, options.seeds + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = subprocess.run(
            [mesh.TESSERA, "simulate", "--seed", str(seed), "--count", "1", "--json"],
            capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if run.returncode != 0:
            note(f"seed {seed}: {run.stderr.strip()}")
        runs.append({
            "seed": seed, "isGreen": run.returncode == 0,
            "seconds": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
            "steps": json.loads(run.stdout)["runs"][0]["steps"]})
    times = [run["seconds"] for run in runs]
    table([["seeds", "median ms", "worst ms", "steps per second", "green"],
           [len(runs), f"{median(times) * 1e3:.0f}", f"{max(times) * 1e3:.0f}",
            f"{sum(run['steps'] for run in runs) / sum(times):.0f}",
            sum(run["isGreen"] for run in runs)]])
    return {"runs": runs, "scale": sized("--scale", options.sizes),
            "agreement": sized("--agreement", options.agreement)}


def sized(question, sizes):
    """One of the tables by size, printed as the program prints it; its document."""
    if not sizes:
        return None
    print(flush=True)
    begin = time.monotonic()
    run = subprocess.run([mesh.TESSERA, "simulate", question, sizes, "--json"], capture_output=True,
                         text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"error: simulate {question} {sizes}: {run.stderr.strip()}")
    note(f"{question} {sizes} took {time.monotonic() - begin:.0f} s")
    document = json.loads(run.stdout)
    lines = [flat(row) for row in document["rows"]]
    keys = list(dict.fromkeys(key for line in lines for key in line))
    table([keys] + [[f"{value:.3g}" if isinstance(value := line.get(key, "-"), float) else value
                     for key in keys] for line in lines])
    return document


def flat(row):
    """The row with the values of what it holds, under both names."""
    line = {}
    for key, value in row.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        line.update({f"{key} {name}".strip(): one for name, one in inner})
    return line
