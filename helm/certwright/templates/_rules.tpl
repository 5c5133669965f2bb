{{/* The operator's rights, grouped by purpose. docs/operating.md lists the same rules in a table; a test compares the two. */}}

{{/* In each namespace that the operator serves. */}}
{{- define "certwright.rules.served" -}}
# To read what users declared.
- apiGroups: [certwright.io]
  resources: [certificates, issuers]
  verbs: [get, list, watch]
# For finalizers (a Certificate is kept while its records are in the DNS, an issuer until its account is deactivated),
# and for removing a request that has ended.
- apiGroups: [certwright.io]
  resources: [certificates, issuers]
  verbs: [patch]
# To report progress. Users never get this right: the operator resumes solvers and orders from the status after a restart.
- apiGroups: [certwright.io]
  resources: [certificates/status, issuers/status]
  verbs: [patch]
# Certificates, their keys, account keys, credentials of solvers. delete is for the keys of finished orders and for earlier revisions.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# To read the labels that a ClusterIssuer's `allowed` rules select namespaces by.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
# To report what happened.
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.shim.enabled }}
# Certificates for annotated Ingresses, Gateways and ListenerSets, which are watched and never changed.
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
# Only once a Gateway takes the names of its certificates from them.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [list, watch]
{{- end }}
{{- if .Values.certManager.serveObjects.enabled }}
# Certificates and Issuers of cert-manager, which are served by ours; of theirs only the status is written.
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
# To leave a Secret to cert-manager that a Certificate of it names too, while its controller runs.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [list, watch]
{{- end }}
{{- if or .Values.http01.enabled .Values.tlsAlpn01.enabled }}
# The solver pod of an order, which is created and never changed, and the route to it, which is applied. All are removed by label, except a
# pod that has ended, by name. get is for explaining why a solver cannot be reached, and for editing an Ingress in place.
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

{{/* Cluster-wide, because RBAC has no narrower way to grant this. These objects hold nothing secret. */}}
{{- define "certwright.rules.cluster" -}}
# ClusterIssuers have no namespace.
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
# To call a DNS webhook by the API server, and to explain why it cannot be reached.
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
# Account keys and credentials of ClusterIssuers, read by name: the operator cannot list, change or delete Secrets here.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
# But for its own list of challenge records that may be left in the DNS.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [{{ printf "%s-challenge-records" (include "certwright.leaseName" .) | quote }}]
  verbs: [patch]
{{- end }}
# Leader election, and the sign by which other releases see this one. RBAC cannot limit create to a name.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ include "certwright.leaseName" . | quote }}]
  verbs: [get, update]
{{- end }}
