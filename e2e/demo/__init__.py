"""`make demo`: the main job, from nothing, on this machine, with real parts."""
