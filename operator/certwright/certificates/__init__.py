"""What happens to one Certificate: observe, `plan`, act, write down; and the issuers, queue and clock around it.

`plan` is pure and decides; the ``*_acts`` modules do; `reconciler` goes round between them. Start reading there.
"""
