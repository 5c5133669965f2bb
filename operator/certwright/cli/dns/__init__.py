"""`certwright dns`: the DNS providers, what each needs, and whether credentials work.

Each command has a module, loaded when it runs.
"""
