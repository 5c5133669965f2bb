"""Generic parts of a controller: work queue, scheduler, leadership. Independent of Certificates."""
