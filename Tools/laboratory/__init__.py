"""The lab: ordinary agents on emulated devices of one machine. Tools/lab runs it; Docs/Lab.md
describes it.

Modules, from the bottom up: `errors`, `document` (strict YAML), `topology` and `events` (what is
Modules, from the bottom up: `errors`, `document` (strict YAML), `topology` and `events` (what is
is known of a lab), `namespaces` (where devices live), `daemons` (D-Bus and Avahi), `agents`, `lab`
(all of it together), `scenario`, `compare`, `cli`.
"""
