{{/* What the operator may do, by reason. docs/operating.md has the same rules in a table; a test compares the two. */}}

{{/* In each namespace that it serves. */}}
{{- define "certwright.rules.served" -}}
# To see what is wanted; patch is for the finalizer that holds a Certificate while records of it are in the DNS.
- apiGroups: [certwright.io]
  resources: [certificates, issuers]
  verbs: [get, list, watch, patch]
# To say what goes on. Users never get this: solvers and orders are taken up from there after a restart.
- apiGroups: [certwright.io]
  resources: [certificates/status, issuers/status]
  verbs: [patch]
# Certificates, their keys, account keys, credentials of solvers. delete is for the keys of orders that are over.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# To tell what happened.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.http01.enabled }}
# The HTTP-01 solver of an order, made and never changed, and the way to it, applied; all removed by label.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, create, delete, deletecollection]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create, patch, delete, deletecollection]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, create, patch, delete, deletecollection]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, create, patch, delete, deletecollection]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, create, patch, delete, deletecollection]
# To explain why a solver is not reached.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get]
{{- end }}
{{- end }}

{{/* In the whole cluster, because there is no narrower way to say it. Nothing secret is in these objects. */}}
{{- define "certwright.rules.cluster" -}}
# ClusterIssuers have no namespace.
- apiGroups: [certwright.io]
  resources: [clusterissuers]
  verbs: [get, list, watch, patch]
- apiGroups: [certwright.io]
  resources: [clusterissuers/status]
  verbs: [patch]
# To notice CRDs and namespaces that come and go while it runs.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- if .Values.http01.enabled }}
# To explain that nobody serves the class of an Ingress.
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [get]
{{- end }}
{{- end }}

{{/* In its own namespace. */}}
{{- define "certwright.rules.own" -}}
{{- if .Values.namespaces }}
# Account keys and credentials of ClusterIssuers. They are read by name: it can neither list nor delete here.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch]
{{- end }}
{{- if .Values.leaderElection.enabled }}
# Who works. A name cannot limit create.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "certwright.leaseName" . | quote }}]
  verbs: [get, update]
{{- end }}
{{- end }}
