"""How challenges are solved: present, look, clean up; one module a challenge type."""
