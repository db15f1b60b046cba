"""Small servers of other domains and styles, for trying the suite on targets that it does not know.

`library` and `tickets` keep the protocol, `nojson` speaks HTTP but not the protocol. Each is started with
`python -m tests.servers.<name> --port 0` and says on its first line of output where it is.
"""
