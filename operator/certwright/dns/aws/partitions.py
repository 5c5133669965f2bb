"""The partitions of AWS: each has its own accounts, regions and Route 53."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from certwright.dns.errors import InvalidCredential

_REGION: Final = re.compile(r"[a-z]{2,6}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}")
_ARN: Final = re.compile(r"arn:(aws[a-z-]{0,20}):iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)


@dataclass(frozen=True)
class Partition:
    """One of them.

    Attributes:
        name: As ARNs have it.
        prefix: What its regions start with.
        suffix: The domain of its services.
        host: Of Route 53.
        region: In whose name Route 53 is asked, and STS unless another one is named.
    """

    name: str
    prefix: str
    suffix: str
    host: str
    region: str


COMMERCIAL: Final = Partition("aws", "", "amazonaws.com", "route53.amazonaws.com", "us-east-1")
PARTITIONS: Final = (
    Partition("aws-cn", "cn-", "amazonaws.com.cn", "route53.amazonaws.com.cn", "cn-northwest-1"),
    Partition("aws-us-gov", "us-gov-", "amazonaws.com", "route53.us-gov.amazonaws.com", "us-gov-west-1"),
    Partition("aws-eusc", "eusc-", "amazonaws.eu", "route53.amazonaws.eu", "eusc-de-east-1"),
    Partition("aws-iso", "us-iso-", "c2s.ic.gov", "route53.c2s.ic.gov", "us-iso-east-1"),
    Partition("aws-iso-b", "us-isob-", "sc2s.sgov.gov", "route53.sc2s.sgov.gov", "us-isob-east-1"),
    Partition("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "route53.cloud.adc-e.uk", "eu-isoe-west-1"),
    Partition("aws-iso-f", "us-isof-", "csp.hci.ic.gov", "route53.csp.hci.ic.gov", "us-isof-south-1"),
    COMMERCIAL,
)
"""The commercial one, to which every region with another prefix belongs, comes last."""


def partition_of(region: str) -> Partition:
    """Return the partition of a region.

    Raises:
        InvalidCredential: The text is not the name of a region.
    """
    if not _REGION.fullmatch(region):
        raise InvalidCredential(f"{region[:40]!r} is not an AWS region, such as eu-central-1")
    return next(one for one in PARTITIONS if region.startswith(one.prefix))


def partition_of_role(arn: str) -> Partition:
    """Return the partition of a role.

    Raises:
        InvalidCredential: The text is not the ARN of a role.
    """
    found = _ARN.fullmatch(arn)
    partition = next((one for one in PARTITIONS if found and one.name == found[1]), None)
    if partition is None:
        raise InvalidCredential(
            f"{arn[:100]!r} is not the ARN of an IAM role, such as arn:aws:iam::123456789012:role/dns"
        )
    return partition


def sts_host(region: str) -> str:
    """Return the host of STS in a region. Raises `InvalidCredential`."""
    return f"sts.{region}.{partition_of(region).suffix}"
