{{/* The operator's permissions, grouped by purpose. docs/operating.md lists the same rules in a table; a test compares the two. */}}

{{/* In each namespace that the operator serves. */}}
{{- define "certwright.rules.served" -}}
# To read the objects that users create.
- apiGroups: [certwright.io]
  resources: [certificates, issuers]
  verbs: [get, list, watch]
# For finalizers (a Certificate is kept while its records are in the DNS, an issuer until its account is deactivated),
# and for removing a request that has ended.
- apiGroups: [certwright.io]
  resources: [certificates, issuers]
  verbs: [patch]
# To report progress. Users do not get this permission: after a restart, the operator resumes orders from the status.
- apiGroups: [certwright.io]
  resources: [certificates/status, issuers/status]
  verbs: [patch]
# Certificates, their keys, account keys and solver credentials. delete is for the keys of finished orders and for earlier revisions.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# To read namespace labels, for the `allowed` rules of ClusterIssuers.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
# To report what happened.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.shim.enabled }}
# To create Certificates for annotated Ingresses, Gateways and ListenerSets. The annotated objects are never changed.
- apiGroups: [certwright.io]
  resources: [certificates]
  verbs: [create, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways, listenersets]
  verbs: [get, list, watch]
- apiGroups: [gateway.networking.x-k8s.io]
  resources: [xlistenersets]
  verbs: [get, list, watch]
# Used only if a Gateway takes the domains of its certificates from its routes.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [list, watch]
{{- end }}
{{- if .Values.certManager.serveObjects.enabled }}
# To serve cert-manager's Certificates and Issuers. Only their status is written.
- apiGroups: [cert-manager.io]
  resources: [certificates, issuers]
  verbs: [list, watch]
- apiGroups: [cert-manager.io]
  resources: [certificates/status, issuers/status]
  verbs: [patch]
- apiGroups: [certwright.io]
  resources: [certificates, issuers]
  verbs: [create]
{{- end }}
{{- if .Values.certManager.guard }}
# To leave Secrets to cert-manager that its Certificates name, while its controller runs.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [list, watch]
{{- end }}
{{- if or .Values.http01.enabled .Values.tlsAlpn01.enabled }}
# To create the solver pod of an order and the route to it. They are removed by label, except for a pod that has ended, which is removed by
# name. get is for explaining why a solver cannot be reached, and for editing an Ingress in place.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, create, delete, deletecollection]
- apiGroups: [""]
  resources: [services]
  verbs: [create, patch, deletecollection]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [create, patch, deletecollection]
{{- if .Values.http01.enabled }}
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, create, patch, deletecollection]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, create, patch, deletecollection]
{{- end }}
{{- if .Values.tlsAlpn01.enabled }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [tlsroutes]
  verbs: [get, create, patch, deletecollection]
{{- end }}
# To explain why a solver cannot be reached.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list]
- apiGroups: [gateway.networking.k8s.io]
  resources: [gateways]
  verbs: [get]
{{- end }}
{{- end }}

{{/* Cluster-wide, because RBAC has no narrower way to grant this. These objects hold no secrets. */}}
{{- define "certwright.rules.cluster" -}}
# ClusterIssuers are cluster-scoped.
- apiGroups: [certwright.io]
  resources: [clusterissuers]
  verbs: [get, list, watch, patch]
- apiGroups: [certwright.io]
  resources: [clusterissuers/status]
  verbs: [patch]
{{- if .Values.certManager.serveObjects.enabled }}
# The same for ClusterIssuers of cert-manager.
- apiGroups: [cert-manager.io]
  resources: [clusterissuers]
  verbs: [list, watch]
- apiGroups: [cert-manager.io]
  resources: [clusterissuers/status]
  verbs: [patch]
- apiGroups: [certwright.io]
  resources: [clusterissuers]
  verbs: [create]
{{- end }}
# To notice CRDs that are created or deleted while the operator runs.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
# To notice another release that serves the same namespaces.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [list]
{{- if .Values.namespaces }}
# To notice when one of its namespaces is created or deleted.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- range .Values.dns01.webhooks }}
# To call a DNS webhook through the API server, and to explain why it cannot be reached.
- apiGroups: [{{ .groupName | quote }}]
  resources: [{{ .solverName | quote }}]
  verbs: [create]
- apiGroups: [apiregistration.k8s.io]
  resources: [apiservices]
  resourceNames: [{{ printf "v1alpha1.%s" .groupName | quote }}]
  verbs: [get{{ if .serving }}, patch{{ end }}]
{{- end }}
{{- if .Values.http01.enabled }}
# To explain that no controller serves the class of an Ingress.
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [get]
{{- end }}
{{- end }}

{{/* In the operator's own namespace. */}}
{{- define "certwright.rules.own" -}}
{{- if .Values.namespaces }}
# Account keys and credentials of ClusterIssuers, read by name. The operator cannot list, change or delete Secrets here,
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
# except for its own list of challenge records that may be left in the DNS.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ printf "%s-challenge-records" (include "certwright.leaseName" .) | quote }}]
  verbs: [patch]
{{- end }}
# For leader election, and so that other releases notice this one. RBAC cannot limit create to a name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "certwright.leaseName" . | quote }}]
  verbs: [get, update]
{{- end }}
