"""What an Issuer may say of Route 53, in cert-manager's fields."""

from __future__ import annotations

from typing import Any

import pytest

from certwright.resources import Dns01

ROLE = "arn:aws:iam::123456789012:role/team/dns"
REF = {"name": "aws", "key": "secret"}
UNNAMED = {"name": ""}


def route53(**fields: Any) -> Any:
    return Dns01.model_validate({"route53": fields}).route53


@pytest.mark.parametrize(
    ("fields", "credentials"),
    [
        ({}, set()),
        ({"region": "us-east-1", "accessKeyID": "AKIA", "secretAccessKeySecretRef": REF}, {"secret_access_key"}),
        ({"accessKeyIDSecretRef": REF, "secretAccessKeySecretRef": REF}, {"access_key_id", "secret_access_key"}),
        ({"region": "us-gov-west-1", "role": ROLE, "secretAccessKeySecretRef": UNNAMED}, set()),
        ({"accessKeyIDSecretRef": UNNAMED, "secretAccessKeySecretRef": UNNAMED}, set()),
        ({"hostedZoneID": "Z2ABC", "role": "arn:aws-us-gov:iam::123456789012:role/x"}, set()),
        ({"auth": {"kubernetes": {"serviceAccountRef": {"name": "dns"}}}, "role": ROLE}, set()),
    ],
)
def test_a_manifest_of_cert_manager_is_taken_as_it_is(fields: dict[str, Any], credentials: set[str]) -> None:
    assert route53(**fields).credentials().keys() == credentials


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"accessKeyID": "A"}, "an access key needs its ID .* and secretAccessKeySecretRef"),
        ({"secretAccessKeySecretRef": REF}, "an access key needs its ID"),
        ({"accessKeyID": "A", "secretAccessKeySecretRef": UNNAMED}, "an access key needs its ID"),
        (
            {"accessKeyID": "A", "accessKeyIDSecretRef": REF, "secretAccessKeySecretRef": REF},
            "must not have both accessKeyID and accessKeyIDSecretRef",
        ),
        ({"auth": {"kubernetes": {"serviceAccountRef": {"name": "dns"}}}}, "auth needs the role"),
        (
            {
                "auth": {"kubernetes": {"serviceAccountRef": {"name": "dns"}}},
                "role": ROLE,
                "accessKeyID": "A",
                "secretAccessKeySecretRef": REF,
            },
            "must not have both auth and an access key",
        ),
        ({"role": "dns"}, "is not the ARN of an IAM role"),
        ({"role": "arn:aws:sts::123456789012:assumed-role/dns/me"}, "must be the ARN of the role"),
        ({"region": "eu-central-1a"}, "must be a region, not an availability zone"),
        ({"region": "evil.example/"}, "is not an AWS region"),
        ({"hostedZoneID": "example.com"}, "must be the ID of the zone, not its name"),
        ({"hostedZoneID": "Z1/../Z2"}, "must be the ID of the zone|is not the ID of a hosted zone"),
        ({"accessKeyID": "A\n"}, "match"),
        ({"secretAccessKeySecretRef": {"name": "aws"}}, "Field required"),
        (
            {"auth": {"kubernetes": {"serviceAccountRef": {"name": "dns", "audiences": [""]}}}, "role": ROLE},
            "at least 1",
        ),
    ],
)
def test_what_cannot_work_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        route53(**fields)
