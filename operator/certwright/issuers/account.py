"""An issuer's account at its CA: register it, find it by its key, notice that it was closed; check the profile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from certwright.acme import (
    AccountDoesNotExist,
    AccountStatus,
    BadPublicKey,
    BadSignatureAlgorithm,
    Client,
    ExternalAccountBinding,
    ExternalAccountRequired,
    InvalidExternalAccountKey,
    ProblemError,
    Unauthorized,
    account_label,
)
from certwright.failures import IssuanceError
from certwright.http.url import same_origin
from certwright.issuers.ca_offer import Terms, current_directory, offer_of, terms_of
from certwright.resources import AcmeIssuerStatus, KeyRotationStatus
from certwright.text import listed

if TYPE_CHECKING:
    from certwright.acme import Account, AccountKey, AcmeServer, Directory
    from certwright.issuers.account_key import AccountKeySecret
    from certwright.issuers.credentials import SecretReader
    from certwright.resources import AcmeIssuerSpec

MAX_LISTED_PROFILES: Final = 20
MAX_FORMER_SERVERS: Final = 4


@dataclass(frozen=True)
class LoadedAccount:
    """A registered account.

    Attributes:
        client: Sends the account's requests.
        status: The account as the issuer's status records it.
        refused_terms: Why it could not agree to the CA's terms, though its owner does; None if there was no refusal.
    """

    client: Client
    status: AcmeIssuerStatus
    refused_terms: str | None = None


@dataclass(frozen=True)
class KnownAccount:
    """What is known of an issuer's account before its CA is asked.

    Attributes:
        status: As the issuer's status, or this process, has it; None if there is none.
        believed: Whether it was usable when last seen; else it is read.
    """

    status: AcmeIssuerStatus | None = None
    believed: bool = True


@dataclass(frozen=True)
class AccountLoader:
    """Finds or registers the account of one issuer.

    Attributes:
        server: The CA.
        spec: The issuer's.
        keys: The account key.
        secrets: Reads what the spec names.
    """

    server: AcmeServer
    spec: AcmeIssuerSpec
    keys: AccountKeySecret
    secrets: SecretReader

    def rotated(self, loaded: LoadedAccount, keys: AccountKeySecret) -> LoadedAccount:
        """Return an account after its key was replaced."""
        rotation = last_rotation(keys, loaded.status)
        status = loaded.status.replace(key_thumbprint=keys.key.thumbprint, key_rotation=rotation)
        client = Client(self.server, keys.key, account_url=loaded.client.account_url)
        return replace(loaded, client=client, status=status)

    @property
    def key(self) -> AccountKey:
        """The account key."""
        return self.keys.key

    async def load(self, known: KnownAccount) -> LoadedAccount:
        """Return the account of the key, with the contact address and the terms of the spec.

        The account in the status is used if it still belongs to this key and CA, and its URL is at the CA. Otherwise
        the account is registered, or found by its key.

        Raises:
            IssuanceError: The account was closed or has another key, it must not be registered, or the CA does not
                offer the profile.
            AcmeError: The CA did not answer or refused.
        """
        spec = self.spec
        await current_directory(self.server, spec)
        directory = await directory_with_profile(self.server, spec.profile)
        contact = (f"mailto:{spec.email}",) if spec.email else ()
        was = await self._without_replaced_key(known.status)
        url = None if was is None else _known_url(was, spec, self.key, directory)
        if url is not None and not known.believed:
            url = await self._confirmed_url(url)
        if was is not None and url is not None:
            client = Client(self.server, self.key, account_url=url)
            if was.last_registered_email != spec.email:
                await client.update_account(contact=contact)
            terms = await terms_of(client, spec, directory, agreed=was.terms_of_service)
        else:
            client = Client(self.server, self.key)
            terms = await self._find_or_register(client, contact, directory, was)
        return LoadedAccount(client, self._status(client, directory, was, terms.agreed), terms.refusal)

    def _status(
        self, client: Client, directory: Directory, was: AcmeIssuerStatus | None, terms: str | None
    ) -> AcmeIssuerStatus:
        learnt = () if was is None or was.offers is None else was.offers.challenges
        return AcmeIssuerStatus(
            uri=client.account_url,
            server=self.spec.server,
            terms_of_service=terms,
            last_registered_email=self.spec.email,
            key_thumbprint=self.key.thumbprint,
            dns_account_label=_label(client.account_url or "", self.spec),
            key_rotation=last_rotation(self.keys, was),
            former_servers=() if was is None else _former_servers(was, client.account_url, self.spec.server),
            offers=offer_of(directory, challenges=learnt if was is not None and was.server == self.spec.server else ()),
        )

    async def _without_replaced_key(self, was: AcmeIssuerStatus | None) -> AcmeIssuerStatus | None:
        """Never use a key again that was replaced: others may know it, and a new account would be theirs as well.

        That it was replaced only the status tells, which may be forged: a key that the CA has for the account of that
        status still was not.

        Returns:
            The status, without a rotation that there was not.
        """
        if was is None or was.key_rotation is None or was.key_rotation.former_thumbprint != self.key.thumbprint:
            return was
        try:
            found = await Client(self.server, self.key).find_account()
        except (AccountDoesNotExist, Unauthorized):
            raise self._replaced("was replaced by a rotation") from None
        if found.created or found.url != was.uri:
            raise self._replaced("was replaced by a rotation")
        return was.replace(key_rotation=None)

    def _replaced(self, why: str) -> IssuanceError:
        return IssuanceError(
            "AccountKeyReplaced",
            f"The account key in Secret {self.keys.name} {why}: the account has another key at the CA. Put the "
            "current key there, and stop what writes the old one; or, for a new account, name another Secret in "
            "privateKeySecretRef.",
        )

    def _closed(self, why: str) -> IssuanceError:
        return IssuanceError(
            "AccountNotValid",
            f"{why}, which cannot be undone. For a new account delete the Secret {self.keys.name}, or name another one "
            "in privateKeySecretRef.",
        )

    async def _confirmed_url(self, known: str) -> str | None:
        """Return the URL of the key's account after the one in the status was refused; None if the CA knows none.

        The URL in a status may be another account's, written there by somebody else: then the key tells which is right.
        """
        why: str | None = None
        try:
            why = await why_unusable(Client(self.server, self.key, account_url=known))
            if why is None:
                return known
        except AccountDoesNotExist:
            return None
        except ProblemError as error:
            if not is_about_the_signature(error):
                raise
        try:
            found = await Client(self.server, self.key).find_account()
        except AccountDoesNotExist:
            # Registering it would make a new account for a key that was replaced, perhaps because others know it.
            raise self._replaced(f"is not that of the account {known}, nor of any other") from None
        except Unauthorized as error:
            raise self._closed(why or str(error)) from error
        if found.status != AccountStatus.VALID or (why is not None and found.url == known):
            raise self._closed(why or f"The account {found.url} is {found.status.value}")
        return found.url

    async def _find_or_register(
        self, client: Client, contact: tuple[str, ...], directory: Directory, was: AcmeIssuerStatus | None
    ) -> Terms:
        """Return the terms that the account agreed to."""
        try:
            account = await self._find(client, directory)
            if account is None:
                account = await self._register(client, contact, directory)
        except (BadPublicKey, BadSignatureAlgorithm) as error:
            raise self._key_refused(error) from error
        if account.status != AccountStatus.VALID:
            raise self._closed(f"The account {account.url} is {account.status.value}")
        if account.created:
            return Terms(directory.meta.terms_of_service)
        if account.contact != contact:
            # The account existed, with another address. (Some CAs omit the contact of one that was just created.)
            await client.update_account(contact=contact)
        agreed = was.terms_of_service if was is not None and was.uri == account.url else None
        return await terms_of(client, self.spec, directory, agreed=agreed or directory.meta.terms_of_service)

    async def _find(self, client: Client, directory: Directory) -> Account | None:
        """Look for an account of the key where a registration would be refused, or must not happen.

        Elsewhere one request does both: a CA returns the account of a key that has one (RFC 8555 section 7.3).
        """
        bound = directory.meta.external_account_required or self.spec.external_account_binding is not None
        if self.keys.is_new or not (bound or self.spec.only_return_existing):
            return None
        try:
            return await client.find_account()
        except AccountDoesNotExist as error:
            if self.spec.only_return_existing:
                raise IssuanceError(
                    "AccountNotFound",
                    f"The CA {directory.url} has no account for the key in Secret {self.keys.name}, and "
                    "onlyReturnExisting forbids registering one. Put the account's key there, or correct the server.",
                ) from error
            return None
        except ExternalAccountRequired:
            return None  # some CAs look at the binding first
        except Unauthorized as error:
            raise self._closed(str(error)) from error

    async def _register(self, client: Client, contact: tuple[str, ...], directory: Directory) -> Account:
        terms, accepted = directory.meta.terms_of_service, self.spec.accepted_terms
        if accepted is not None and terms is not None and accepted != terms:
            raise IssuanceError(
                "TermsNotAccepted",
                f"The terms of service of {directory.url} are {terms}, and spec.acme.acceptedTerms is {accepted}. Read "
                "them, and set acceptedTerms to their URL to register an account.",
            )
        binding = await self._binding(directory)
        try:
            return await client.register(
                contact=contact, terms_of_service_agreed=True, external_account_binding=binding
            )
        except ExternalAccountRequired as error:
            if binding is None:
                raise self._unbound(directory) from error
            raise self._binding_refused(error, binding, directory) from error
        except Unauthorized as error:
            if binding is not None:
                raise self._binding_refused(error, binding, directory) from error
            raise self._closed(str(error)) from error
        except ProblemError as error:
            if binding is not None and is_about_the_signature(error):
                raise self._binding_refused(error, binding, directory) from error
            raise

    async def _binding(self, directory: Directory) -> ExternalAccountBinding | None:
        """Return the external account binding, its key read now: it is sent again when an account is recovered."""
        wanted = self.spec.external_account_binding
        if wanted is None:
            if directory.meta.external_account_required:
                raise self._unbound(directory)
            return None
        reference = wanted.key_secret_ref
        where = "spec.acme.externalAccountBinding.keySecretRef"
        key = await self.secrets.entry(reference.name, reference.key, where=where, what="key that the CA gave you")
        try:
            return ExternalAccountBinding.from_text(wanted.key_id, key.decode("utf-8", "replace"), wanted.key_algorithm)
        except InvalidExternalAccountKey as error:
            raise IssuanceError(
                "ExternalAccountKeyUnusable",
                f"The entry {reference.key} of Secret {self.secrets.namespace}/{reference.name} cannot be used: "
                f"{error}.",
            ) from None

    def _unbound(self, directory: Directory) -> IssuanceError:
        return IssuanceError(
            "ExternalAccountRequired",
            f"The CA {directory.url} registers accounts only for its customers. Get a key identifier and a MAC key "
            "from the CA, and set spec.acme.externalAccountBinding.",
        )

    def _binding_refused(
        self, error: ProblemError, binding: ExternalAccountBinding, directory: Directory
    ) -> IssuanceError:
        wanted = self.spec.external_account_binding
        if wanted is None:
            raise AssertionError("nothing was bound")
        reference = wanted.key_secret_ref
        twice = (
            " The entry decodes to text: perhaps it was encoded in base64 once too often." if binding.is_text else ""
        )
        unasked = (
            ""
            if directory.meta.external_account_required
            else " The CA's directory does not say that it requires a binding: if it does not, remove "
            "externalAccountBinding."
        )
        return IssuanceError(
            "ExternalAccountRefused",
            f"The CA refused the external account binding: {error}. Compare keyID, the entry {reference.key} of Secret "
            f"{self.secrets.namespace}/{reference.name}, and keyAlgorithm with what the CA gave you.{twice} Some CAs "
            f"let a key be used only once.{unasked}",
        )

    def _key_refused(self, error: ProblemError) -> IssuanceError:
        return IssuanceError(
            "AccountKeyUnusable",
            f"The CA does not accept the account key in Secret {self.secrets.namespace}/{self.keys.name}: {error}. For "
            "a new account with another kind of key set accountKeyAlgorithm, such as ES256 or RS256, and name another "
            "Secret in privateKeySecretRef.",
        )


def _label(account_url: str, spec: AcmeIssuerSpec) -> str | None:
    """Return the label of an account if people need it, to publish a CNAME."""
    return (
        account_label(account_url)
        if any(solver.challenge_type == "dns-account-01" for solver in spec.solvers)
        else None
    )


def last_rotation(keys: AccountKeySecret, was: AcmeIssuerStatus | None) -> KeyRotationStatus | None:
    """Return the last rotation of a key, as its Secret tells it, or else the status."""
    if keys.former is None or keys.created_at is None:
        return None if was is None else was.key_rotation
    return KeyRotationStatus(time=keys.created_at, former_thumbprint=keys.former.thumbprint)


def _known_url(was: AcmeIssuerStatus, spec: AcmeIssuerSpec, key: AccountKey, directory: Directory) -> str | None:
    """Return the account's URL in a status, if the status is about this key and CA, and the URL at this CA."""
    if was.uri is None or (was.server, was.key_thumbprint) != (spec.server, key.thumbprint):
        return None
    return was.uri if any(same_origin(was.uri, one) for one in (spec.server, directory.new_account)) else None


def _former_servers(was: AcmeIssuerStatus, account_url: str | None, server: str) -> tuple[str, ...]:
    """Return the directories at which this account was used before: the CA has moved its directory.

    The account tells: another CA, or another authority of the same one, does not know it under this URL. A status may
    be forged, so the directories have to be at the same host as the present one.
    """
    if was.uri is None or was.uri != account_url:
        return ()
    named = [was.server, *was.former_servers]
    former = (one for one in named if one is not None and one != server and same_origin(one, server))
    return tuple(dict.fromkeys(former))[:MAX_FORMER_SERVERS]


async def why_unusable(client: Client) -> str | None:
    """Read an account, and return why it can order nothing; None if it can.

    Args:
        client: The account.

    Raises:
        AcmeError: It cannot be told now, or the CA does not know the account (`AccountDoesNotExist`).
    """
    try:
        account = await client.fetch_account()
    except Unauthorized as error:
        # RFC 8555 section 7.3.6: nothing is answered to an account that was deactivated.
        return str(error)
    return None if account.status == AccountStatus.VALID else f"The account {account.url} is {account.status.value}"


def is_about_the_signature(error: BaseException) -> bool:
    """Whether a CA may say this because the account of a request is not the one of its key: some say malformed."""
    return isinstance(error, ProblemError) and error.problem.kind == "malformed"


async def directory_with_profile(server: AcmeServer, profile: str | None) -> Directory:
    """Return the CA's directory, fetched again if it does not list the profile.

    The CA would reject an order with a profile that its directory does not list, and rejected orders count.

    Args:
        server: The CA.
        profile: The issuer's profile, or None.

    Raises:
        IssuanceError: The CA has no such profile.
        AcmeError: The directory cannot be fetched.
    """
    directory = await server.directory()
    if profile is None or profile in directory.meta.profiles:
        return directory
    directory = await server.directory(refresh=True)
    if profile not in directory.meta.profiles:
        offered = listed(sorted(directory.meta.profiles), most=MAX_LISTED_PROFILES, none="none at all")
        raise IssuanceError(
            "InvalidProfile",
            f"The CA {directory.url} has no profile {profile}; it offers {offered}. Correct spec.acme.profile.",
        )
    return directory
