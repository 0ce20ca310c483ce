#include "DashboardFiles.h"

// C23; the compiler of Swift 6.3 has it in every C. The files are a part of the program, so that it
// needs none beside it, and are built anew when they change.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page[] = {
#embed "index.html"
};
static const unsigned char style[] = {
#embed "dashboard.css"
};
static const unsigned char icon[] = {
#embed "icon.svg"
};
static const unsigned char main_script[] = {
#embed "main.js"
};
static const unsigned char stream_script[] = {
#embed "stream.js"
};
static const unsigned char figures_script[] = {
#embed "figures.js"
};
static const unsigned char graph_script[] = {
#embed "graph.js"
};
static const unsigned char charts_script[] = {
#embed "charts.js"
};
static const unsigned char tables_script[] = {
#embed "tables.js"
};

static const unsigned char classify_script[] = {
#embed "classify.js"
};

static const tessera_dashboard_file files[] = {
    {"index.html", page, sizeof page},
    {"dashboard.css", style, sizeof style},
    {"icon.svg", icon, sizeof icon},
    {"main.js", main_script, sizeof main_script},
    {"stream.js", stream_script, sizeof stream_script},
    {"figures.js", figures_script, sizeof figures_script},
    {"graph.js", graph_script, sizeof graph_script},
    {"charts.js", charts_script, sizeof charts_script},
    {"tables.js", tables_script, sizeof tables_script},
    {"classify.js", classify_script, sizeof classify_script},
};

size_t tessera_dashboard_file_count(void) { return sizeof files / sizeof files[0]; }

tessera_dashboard_file tessera_dashboard_file_at(size_t index) { return files[index]; }
