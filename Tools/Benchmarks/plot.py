"""Draws what Tools/Benchmarks/papers measured. Start it by Tools/Benchmarks/plot."""

import argparse
import json
import os
import statistics

import matplotlib

matplotlib.use("svg")
# The same figures give the same files.
matplotlib.rcParams.update({"svg.hashsalt": "tessera", "font.size": 9, "axes.spines.top": False,
                            "axes.spines.right": False})
from matplotlib import pyplot  # noqa: E402  (after the choice of what it draws with)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COLOURS = {
    "best": "#0b6e4f", "pipeline": "#5aa9a4", "local": "#b0b0b0", "even": "#d9a441",
    "pipedream-like": "#c8553d", "pipeedge-like": "#7a6fac", "modnn-like": "#d9a441",
    "deepthings-like": "#c8553d"}


def read(folder, name):
    """The results of an experiment; empty if it was not run."""
    path = os.path.join(folder, f"papers-{name}.json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return json.load(file)["results"]


def save(figure, folder, name):
    """Writes a figure and says where."""
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name + ".svg")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    print(os.path.relpath(path))


def speedups(results, title):
    """For each case a bar for each plan: how many times one board alone it is."""
    cases = [result for result in results if result["figures"].get("local")]
    if not cases:
        return None
    plans = [name for name in cases[0]["figures"] if name != "local"]
    figure, axes = pyplot.subplots(figsize=(7.5, 0.8 + 0.62 * len(cases)))
    height = 0.8 / len(plans)
    for index, name in enumerate(plans):
        drawn = False
        for row, result in enumerate(cases):
            runs = result["figures"][name]
            if not runs:
                continue
            alone = statistics.median(one["seconds"] for one in result["figures"]["local"])
            times = sorted(alone / one["seconds"] for one in runs)
            middle = statistics.median(times)
            place = row + (index - (len(plans) - 1) / 2) * height
            axes.barh(place, middle, height * 0.92, color=COLOURS[name],
                      label=None if drawn else name,
                      xerr=[[middle - times[0]], [times[-1] - middle]],
                      error_kw={"linewidth": 0.8})
            drawn = True
            bound = runs[-1].get("bound_seconds")
            if bound and name == "best":
                axes.plot([alone / bound] * 2, [row - 0.45, row + 0.45], color="black",
                          linewidth=1.2, label="bound" if row == 0 else None)
    axes.axvline(1, color="#b0b0b0", linewidth=0.8)
    axes.set_yticks(range(len(cases)), [result["case"] for result in cases])
    axes.invert_yaxis()
    axes.set_xlabel("times one board alone")
    axes.set_title(title, loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    return figure


def over_time(result):
    """Answers per second, what was reached in the end of each span, and what happened."""
    buckets = result["buckets"]
    figure, axes = pyplot.subplots(figsize=(7.5, 3.4))
    moments = [index * buckets["seconds"] for index in range(len(buckets["answers"]))]
    axes.step(moments, [count / buckets["seconds"] for count in buckets["answers"]], where="post",
              color=COLOURS["best"], linewidth=1, label="answers per second")
    top = max(buckets["answers"], default=1) / buckets["seconds"]
    for index, span in enumerate(result["spans"]):
        axes.plot([span["begin"], span["end"]], [span["steady_per_second"]] * 2, color="black",
                  linewidth=1, linestyle="--", label=None if index else "reached at last")
        axes.axvline(span["begin"], color="#b0b0b0", linewidth=0.8)
        if index:
            axes.text(span["begin"] + 1, top * 1.04, span["event"], rotation=28, fontsize=7,
                      va="bottom")
    axes.set_ylim(0, top * 1.05)
    axes.set_xlabel("seconds")
    axes.set_ylabel("answers per second")
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def main():
    """The command line."""
    parser = argparse.ArgumentParser(prog="Tools/Benchmarks/plot", description=__doc__)
    parser.add_argument("--results", default=os.path.join(ROOT, ".build", "benchmarks"),
                        help="where raw figures are (.build/benchmarks)")
    parser.add_argument("--output", default=os.path.join(ROOT, "Docs", "images"),
                        help="where the drawings go (Docs/images)")
    options = parser.parse_args()
    for name, title in (("edgepipe", "Throughput on 16 boards"),
                        ("cnnparted", "Throughput on two unlike boards"),
                        ("slow-links", "Throughput over slow links, images of bytes"),
                        ("rows", "Latency of one item by receptive-field rows")):
        figure = speedups(read(options.results, name), title)
        if figure:
            save(figure, options.output, name)
    for result in read(options.results, "churn"):
        save(over_time(result), options.output, "churn")


if __name__ == "__main__":
    main()
