"""What to do with each kind of error: come back later, ask a person, look at the names, or give up."""

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
            print(f"Come back at {error.retry_at}; why: {error.help_url}")
        except UserActionRequired as error:
            print(f"Somebody has to visit {error.url} first; trying again changes nothing")
        except RejectedIdentifier as error:
            print(f"This CA does not issue for {', '.join(map(str, error.identifiers)) or error.problem.detail}")
        except OrderFailed as error:
            # The order is over. What is wrong with which name, so that only that has to be looked at:
            for name, problem in error.by_identifier.items():
                print(f"{name}: {problem.kind}: {problem.detail}")
        except SolverFailed as error:
            print(f"Nothing was asked of the CA; {error.challenge_type} for {', '.join(error.names)}: {error}")
        except AcmeError as error:
            # The same request may succeed later if nobody changes anything, or it will not.
            when = f" in {error.retry_after:.0f} s" if error.retry_after else " later"
            print(f"{error}. {'Try again' + when if error.temporary else 'Trying again changes nothing'}")
        else:
            print("Issued")


asyncio.run(main())
