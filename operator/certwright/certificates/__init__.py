"""The life of a Certificate: observe, `plan`, carry out a step, write the status.

`reconciler` is the loop; start reading there. It gathers everything that is known into a frozen `Observation`, `plan`
(pure) chooses one step, and the step's act carries it out. Each step is a file in ``steps/``.

An act never modifies an observation: it is an asynchronous generator, and *yields* a new observation after each part
that succeeded. An exception ends it, and the last yielded observation stays valid: the order that was placed although
the finalizer could not be written, or the challenges that were answered before one failed. Failures halfway are normal,
so handling them should be easy. If exceptions carried observations instead, every call that may fail would need a
wrapper, and forgetting one would lose an order. Here the order of the lines shows what survives: yield first, then do
what may fail.

`Memory` keeps what one reconciliation leaves for the next. What must survive the process is in the status; see
"Order of writes" in ARCHITECTURE.md.
"""
