"""One Certificate's life: observe, `plan`, act, write down.

`plan` is pure and decides; the ``*_acts`` modules do; `reconciler` goes round between them. Start reading there.
"""
