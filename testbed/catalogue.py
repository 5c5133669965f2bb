"""The programs the bed needs, their versions and where each may come from."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Version = tuple[int, ...]

KUBERNETES = (1, 37, 2)
ETCD = (3, 7, 3)
HELM = "4.3.1"
CERT_MANAGER = "1.21.2"
KUBECONFORM = "0.8.0"
LEGO = "5.6.0"
CONTAINERD = "2.4.2"
COREDNS = "1.15.0"
KUBE_ROUTER = "2.1.0"
_GIT_VERSION = ".".join(map(str, KUBERNETES))
_COMPONENT = "k8s.io/component-base/version"
_KUBERNETES_LDFLAGS = (
    f"-s -w -X {_COMPONENT}.gitVersion=v{_GIT_VERSION}"
    f" -X {_COMPONENT}.gitMajor={KUBERNETES[0]} -X {_COMPONENT}.gitMinor={KUBERNETES[1]}"
)
_GIB = 1 << 30


@dataclass(frozen=True)
class Module:
    """A Go module of ours that pins a program and all it is made of.

    Attributes:
        name: folder below `go/`.
        ldflags: flags of the linker.
        room: bytes that a build from nothing needs in Go's caches and ours.
        sources: the biggest module it pulls in, as a path in Go's module cache; where that is present,
            most is downloaded.
    """

    name: str
    ldflags: str
    room: int
    sources: str


@dataclass(frozen=True)
class Program:
    """A program that the bed starts.

    Attributes:
        name: of the executable.
        module: where it is built from.
        package: the Go package of its main function.
        version_arguments: make it print its version; None if it cannot and is never taken from PATH.
        fits: whether the version of one found on PATH will do.
        wants: the same in words.
        in_assets: whether KUBEBUILDER_ASSETS holds it.
    """

    name: str
    module: Module
    package: str
    version_arguments: tuple[str, ...] | None = None
    fits: Callable[[Version], bool] = lambda _: False
    wants: str = ""
    in_assets: bool = False


def _same_minor(version: Version) -> bool:
    return version[:2] == KUBERNETES[:2]


def _near_minor(version: Version) -> bool:
    return version[0] == KUBERNETES[0] and abs(version[1] - KUBERNETES[1]) <= 1


def _recent_etcd(version: Version) -> bool:
    return (3, 5) <= version[:2] < (4, 0)


_KUBERNETES = Module("kubernetes", _KUBERNETES_LDFLAGS, 8 * _GIB, "k8s.io/kubernetes@v" + _GIT_VERSION)
# A module of its own: a change for nodes does not rebuild the API server.
_KUBERNETES_NODE = replace(_KUBERNETES, name="kubernetes-node")
_ETCD = Module("etcd", "-s -w", 2 * _GIB, "go.etcd.io/etcd/server/v3@v" + ".".join(map(str, ETCD)))
_PEBBLE = Module("pebble", "-s -w", 1 * _GIB, "github.com/letsencrypt/pebble/v2@v2.10.1")
_STEP_CA = Module("step-ca", "-s -w", 2 * _GIB, "github.com/smallstep/certificates@v0.30.2")
_DNS_WEBHOOK = Module("dns-webhook", "-s -w", 3 * _GIB, f"github.com/cert-manager/cert-manager@v{CERT_MANAGER}")
_CERT_MANAGER = replace(_DNS_WEBHOOK, name="cert-manager")
_HELM = Module(
    "helm", f"-s -w -X helm.sh/helm/v4/internal/version.version=v{HELM}", 2 * _GIB, f"helm.sh/helm/v4@v{HELM}"
)
_KUBECONFORM = Module(
    "kubeconform",
    f"-s -w -X main.version=v{KUBECONFORM}",
    1 * _GIB,
    f"github.com/yannh/kubeconform@v{KUBECONFORM}",
)
_LEGO = Module("lego", "-s -w", 1 * _GIB, f"github.com/go-acme/lego/v5@v{LEGO}")
_CONTAINERD = Module(
    "containerd",
    f"-s -w -X github.com/containerd/containerd/v2/version.Version=v{CONTAINERD}",
    3 * _GIB,
    f"github.com/containerd/containerd/v2@v{CONTAINERD}",
)
_COREDNS = Module("coredns", "-s -w", 2 * _GIB, f"github.com/coredns/coredns@v{COREDNS}")
_KUBE_ROUTER = Module("kube-router", "-s -w", 2 * _GIB, f"github.com/cloudnativelabs/kube-router/v2@v{KUBE_ROUTER}")
# Only the standard library: nothing is downloaded.
_PODS = Module("pods", "-s -w", 1 * _GIB, "")
_MINOR = f"{KUBERNETES[0]}.{KUBERNETES[1]}"

PROGRAMS: dict[str, Program] = {
    program.name: program
    for program in (
        Program(
            "etcd",
            _ETCD,
            "go.etcd.io/etcd/server/v3",
            ("--version",),
            _recent_etcd,
            "3.5 or later",
            in_assets=True,
        ),
        Program(
            "kube-apiserver",
            _KUBERNETES,
            "k8s.io/kubernetes/cmd/kube-apiserver",
            ("--version",),
            _same_minor,
            _MINOR,
            in_assets=True,
        ),
        Program(
            "kube-controller-manager",
            _KUBERNETES,
            "k8s.io/kubernetes/cmd/kube-controller-manager",
            ("--version",),
            _same_minor,
            _MINOR,
        ),
        Program(
            "kubectl",
            _KUBERNETES,
            "k8s.io/kubernetes/cmd/kubectl",
            ("version", "--client"),
            _near_minor,
            f"{_MINOR} or a minor version beside it",
            in_assets=True,
        ),
        *(
            Program(name, _KUBERNETES_NODE, f"k8s.io/kubernetes/cmd/{name}", ("--version",), _same_minor, _MINOR)
            for name in ("kube-scheduler", "kubelet", "kube-proxy")
        ),
        # Never from PATH: the shim has to be from the same build, and no distribution has a new enough one.
        *(
            Program(name, _CONTAINERD, f"github.com/containerd/containerd/v2/cmd/{name}")
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        # Ours, with the plugins that the bed uses: see go/coredns/main.go.
        Program("coredns", _COREDNS, "."),
        Program("kube-router", _KUBE_ROUTER, "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),
        # These run in the bed's own images: see pod_images.py.
        Program("pause", _PODS, "./pause"),
        Program("web", _PODS, "./web"),
        # Ours, not Pebble's own: see go/pebble/main.go.
        Program("pebble", _PEBBLE, "."),
        Program("pebble-challtestsrv", _PEBBLE, "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv"),
        # Ours, without the key stores that step-ca's program brings along: see go/step-ca/main.go.
        Program("step-ca", _STEP_CA, "."),
        # Ours, on cert-manager's module: see go/dns-webhook/main.go.
        Program("dns-webhook", _DNS_WEBHOOK, "."),
        # Ours, of cert-manager's own controllers: see go/cert-manager/main.go.
        Program("cert-manager", _CERT_MANAGER, "."),
        Program(
            "helm",
            _HELM,
            "helm.sh/helm/v4/cmd/helm",
            ("version", "--short"),
            lambda version: version[0] == 4,  # noqa: PLR2004 - the major version
            "4",
        ),
        Program("kubeconform", _KUBECONFORM, "github.com/yannh/kubeconform/cmd/kubeconform"),
        # Ours, with one DNS provider of lego's: see go/lego/main.go.
        Program("lego", _LEGO, "."),
    )
}


def parse_version(output: str) -> Version | None:
    """Return the first version in a program's output, such as (1, 37, 2) from "Kubernetes v1.37.2"."""
    found = re.search(r"\bv?(\d+)\.(\d+)(?:\.(\d+))?", output)
    return tuple(int(number) for number in found.groups() if number is not None) if found else None
