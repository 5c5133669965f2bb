"""Issue without asyncio, with a web server that is already running and serves the files of a folder."""

import os
from pathlib import Path

from certwright.client import Webroot
from certwright.client.sync import connect

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "www.example.com")
WEBROOT = os.environ.get("WEBROOT", "/var/www/html")

with connect(CA) as client:
    client.register(terms_of_service_agreed=True)
    certificate = client.issue([NAME], solvers=[Webroot(WEBROOT)])

Path("privkey.pem").touch(mode=0o600)
Path("privkey.pem").write_bytes(certificate.private_key_pem)
Path("fullchain.pem").write_bytes(certificate.chain_pem)
print(f"{NAME} until {certificate.not_after:%Y-%m-%d}")
