"""Which domains a namespace may request from a ClusterIssuer."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.labels import LABELS
from certwright.resources.names import UNIQUE_LIST, AllowedName, AllowedZone, Distinct, IpRange, ObjectName, Unique
from certwright.resources.rules import ATOMIC_LIST, rule, validations

MAX_RULES: Final = 32
_ENTRIES: Final[dict[str, Any]] = {"min_length": 1, "max_length": 32}
_VALUES: Final = "values must be set with In and NotIn, and unset with Exists and DoesNotExist"


class LabelRequirement(Model):
    """A requirement for a label."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("(self.operator in ['In', 'NotIn']) == has(self.values)", _VALUES, field_path=".values")
        )
    )

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """The key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How to compare the label. NotIn and DoesNotExist also select objects without the label."""
    values: Annotated[
        tuple[Annotated[str, Field(max_length=63)], ...] | None,
        Field(min_length=1, max_length=16, json_schema_extra=ATOMIC_LIST),
    ] = None
    """The values for In and NotIn."""

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet the requirement."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in (self.values or ())
            case "NotIn":
                return value is None or value not in (self.values or ())
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None

    @model_validator(mode="after")
    def _has_its_values(self) -> Self:
        if (self.operator in {"In", "NotIn"}) != (self.values is not None):
            raise ValueError(_VALUES)
        return self


class LabelSelector(Model):
    """Selects objects by their labels, as in Kubernetes: an object must meet all requirements."""

    match_labels: Annotated[Mapping[str, str], LABELS] = {}
    """Labels that the object must have, with these values."""
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """Additional requirements."""

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether labels meet all requirements; an empty selector selects everything."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.selects(labels) for requirement in self.match_expressions
        )


class AllowedDomains(Model):
    """Domains that some namespaces may request."""

    namespaces: Annotated[tuple[ObjectName, ...] | None, Field(**_ENTRIES, json_schema_extra=UNIQUE_LIST), Unique] = (
        None
    )
    """The namespaces that the rule applies to, by name. If unset, all that namespaceSelector selects."""
    namespace_selector: LabelSelector | None = None
    """
    The namespaces that the rule applies to, by their labels. If namespaces is also set, both must match. If neither is
    set, the rule applies to every namespace.
    """
    dns_names: Annotated[tuple[AllowedName, ...] | None, Field(**_ENTRIES, json_schema_extra=ATOMIC_LIST), Distinct] = (
        None
    )
    """
    Domains that may be requested. *.example.com stands for any one label in front of example.com, and for the
    wildcard itself. {namespace} stands for the name of the namespace.
    """
    dns_zones: Annotated[tuple[AllowedZone, ...] | None, Field(**_ENTRIES, json_schema_extra=ATOMIC_LIST), Distinct] = (
        None
    )
    """
    Zones in which every domain may be requested: the zone itself, all its subdomains, and their wildcards. {namespace}
    stands for the name of the namespace. If dnsNames, dnsZones and ipRanges are all unset, every domain.
    """
    ip_ranges: Annotated[tuple[IpRange, ...] | None, Field(**_ENTRIES, json_schema_extra=ATOMIC_LIST), Distinct] = None
    """
    IP addresses that may be requested: single addresses, or ranges such as 192.0.2.0/24. Only an entry here allows an
    address; a rule for every domain does not.
    """
