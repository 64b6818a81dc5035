"""Step 5, send: lease a batch, submit its messages, settle what became of them.

`leases` holds the rows, `outcomes` says what a reply means, `connections` talk SMTP,
`sending` is the loop that joins them, `closing` brings editions to rest. Knows no HTML.
"""
