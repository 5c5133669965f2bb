"""One Certificate's life: observe, `plan`, take the step, write down.

`reconciler` is the loop; start reading there. It gathers what is known into one frozen `Observation`, `plan` (pure)
names one step, and the step does it. Each step is one file in ``steps/``: what it is, and the act.

A step never edits an observation: it is an asynchronous generator, and *yields* the observation as it is after each
part that has gone well. What it raises ends it there, and the last observation that it yielded holds: the order that
was placed although the finalizer could not be written, the challenges that were answered before one failed. Such a
failure in the middle is the normal case, not the exception, so the form for it should cost nothing: with an exception
that carries an observation each call that may fail would be wrapped, and forgetting one would lose an order. Here the
order of lines says what survives what: yield, then do what may fail.

What a pass leaves for the next is `Memory`. What must outlive the process is in the status; see "Order of writes" in
ARCHITECTURE.md.
"""
