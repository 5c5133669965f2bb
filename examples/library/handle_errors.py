"""Handle each kind of error: retry later, ask a person, check the domains, or give up."""

import asyncio
import os

from certwright.acme import (
    AcmeError,
    OrderFailed,
    RateLimited,
    RejectedIdentifier,
    UserActionRequired,
)
from certwright.client import Http01Server, SolverFailed, connect, issue

CA = os.environ.get("CA", "letsencrypt-staging")
NAMES = os.environ.get("NAMES", "www.example.com,shop.example.com").split(",")
HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))


async def main() -> None:
    async with connect(CA) as client:
        await client.register(terms_of_service_agreed=True)
        try:
            await issue(client, NAMES, solvers=[Http01Server(port=HTTP_PORT)])
        except RateLimited as error:
            print(f"Retry at {error.retry_at}; details: {error.help_url}")
        except UserActionRequired as error:
            print(f"A person has to visit {error.url} first; retrying does not help")
        except RejectedIdentifier as error:
            print(f"This CA does not issue for {', '.join(map(str, error.identifiers)) or error.problem.detail}")
        except OrderFailed as error:
            # The order has failed. List the problem of each domain, so that you only have to check those:
            for name, problem in error.by_identifier.items():
                print(f"{name}: {problem.kind}: {problem.detail}")
        except SolverFailed as error:
            print(f"The CA was not asked to validate; {error.challenge_type} for {', '.join(error.names)}: {error}")
        except AcmeError as error:
            # A temporary error may go away on its own; others need a change first.
            when = f" in {error.retry_after:.0f} s" if error.retry_after else " later"
            print(f"{error}. {'Retry' + when if error.temporary else 'Retrying does not help'}")
        else:
            print("Issued")


asyncio.run(main())
