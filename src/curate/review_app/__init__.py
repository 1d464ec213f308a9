"""The session of `curate review`: a local server, and the page that people sit in front of.

    version ─▶ queues ─▶ session ─▶ server ─▶ static/ (the page)
    log     ─▶ ledger ──────┘          └──── security, pictures

`queues` says what there is to look at, `ledger` what has been said, `session` who gets what next; none of them knows
HTTP. `showing` is what a person is told of a picture.
"""
