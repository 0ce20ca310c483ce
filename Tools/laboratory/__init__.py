"""The lab: ordinary agents on emulated devices of one machine. Tools/lab runs it; Docs/Lab.md
describes it.

Modules, from the bottom up: `errors`, `document` (strict YAML), `topology` and `events` (what is
to be emulated), `shaping` (links), `limits` (control groups), `waiting`, `interrupts`, `state`
(what is known of a lab), `namespaces` (where devices live), `daemons` (D-Bus and Avahi), `agents`,
`lab` (all of it together), `scenario`, `compare`, `cli`.
"""
