{{- define "certwright.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of the chart's objects. 50 characters leave room for the suffixes. */}}
{{- define "certwright.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of cluster-scoped objects: two releases in different namespaces may have the same name. */}}
{{- define "certwright.clusterName" -}}
{{- $name := include "certwright.fullname" . }}
{{- if eq $name .Release.Namespace }}
{{- $name }}
{{- else }}
{{- printf "%s-%s" .Release.Namespace $name | trunc 230 }}
{{- end }}
{{- end }}

{{- define "certwright.selectorLabels" -}}
app.kubernetes.io/name: {{ include "certwright.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "certwright.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "certwright.selectorLabels" . }}
app.kubernetes.io/part-of: certwright
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The common labels merged with an object's own, which take precedence. */}}
{{- define "certwright.labelsWith" -}}
{{- toYaml (merge (deepCopy .own) (include "certwright.labels" .root | fromYaml)) }}
{{- end }}

{{/* A map as lines of key=value. */}}
{{- define "certwright.lines" -}}
{{- $lines := list }}
{{- range $key, $value := . }}
{{- $lines = append $lines (printf "%s=%v" $key $value) }}
{{- end }}
{{- join "\n" $lines }}
{{- end }}

{{- define "certwright.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "certwright.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "certwright.subject" -}}
- kind: ServiceAccount
  name: {{ include "certwright.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "certwright.leaseName" -}}
{{- default (include "certwright.fullname" .) .Values.leaderElection.leaseName }}
{{- end }}

{{/* Matches the registry at the start of a repository, by the rule that container runtimes follow. */}}
{{- define "certwright.registryPattern" -}}
^(localhost|[^/]*[.:][^/]*)/
{{- end }}

{{/* An image reference; the argument has registry, repository, tag and digest. A repository that includes a registry is used unchanged. */}}
{{- define "certwright.imageReference" -}}
{{- if and .registry (not (regexMatch (include "certwright.registryPattern" .) .repository)) }}{{ .registry }}/{{ end }}{{ .repository }}
{{- if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{- define "certwright.image" -}}
{{- $image := .Values.image }}
{{- include "certwright.imageReference" (dict "registry" $image.registry "repository" (default "certwright" $image.repository) "tag" (default .Chart.AppVersion $image.tag) "digest" $image.digest) }}
{{- end }}

{{/* Unset parts of the solver's image default to the operator's. A digest belongs to one repository and tag, so it is inherited only
with both. The solver's registry replaces the one in the operator's repository. */}}
{{- define "certwright.solverImage" -}}
{{- $image := .Values.image }}
{{- $solver := .Values.http01.solver.image }}
{{- $digest := $solver.digest }}
{{- if not (or $solver.repository $solver.tag $solver.digest) }}
{{- $digest = $image.digest }}
{{- end }}
{{- $inherited := default "certwright" $image.repository }}
{{- if $solver.registry }}
{{- $inherited = regexReplaceAll (include "certwright.registryPattern" .) $inherited "" }}
{{- end }}
{{- include "certwright.imageReference" (dict "registry" (default $image.registry $solver.registry) "repository" (default $inherited $solver.repository) "tag" (default (default .Chart.AppVersion $image.tag) $solver.tag) "digest" $digest) }}
{{- end }}

{{/* Contradictions that the schema cannot detect. */}}
{{- define "certwright.validate" -}}
{{- if not (or .Values.image.registry .Values.image.repository) }}
{{- fail "image: no image of Certwright is published yet, so set the location of your own. Build one with `make image`, push it to your registry as REGISTRY/PATH/certwright, and set image.registry=REGISTRY/PATH. Or load it onto every node, and set image.registry=localhost. docs/image.md has the commands" }}
{{- end }}
{{- if contains "YOUR-REGISTRY" .Values.image.registry }}
{{- fail "image.registry: replace YOUR-REGISTRY with the registry and path of your image of Certwright, such as registry.example.com/team" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
{{- fail "replicas: more than one replica requires leaderElection.enabled; otherwise all of them would order the same certificates" }}
{{- end }}
{{- if and .Values.caBundle.configMap .Values.caBundle.secret }}
{{- fail "caBundle: set configMap or secret, not both" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.service.enabled) }}
{{- fail "metrics.serviceMonitor requires metrics.service.enabled; use metrics.podMonitor without a Service" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled }}
{{- fail "metrics: enable serviceMonitor or podMonitor, not both; otherwise Prometheus scrapes everything twice" }}
{{- end }}
{{- if eq (int .Values.ports.http) (int .Values.ports.responder) }}
{{- fail "ports: http and responder must differ" }}
{{- end }}
{{- with .Values.certManager.serveObjects }}
{{- if and (not .enabled) (or .metrics .arguments) }}
{{- fail "certManager.serveObjects: metrics and arguments have no effect without enabled" }}
{{- end }}
{{- end }}
{{- range .Values.issuers }}
{{- if and $.Values.namespaces (not (has .namespace $.Values.namespaces)) }}
{{- fail (printf "issuers: %s is in the namespace %s, which is not listed in namespaces, so the operator would not see it" .name .namespace) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The DNS webhooks whose serving certificates the operator creates, in the format of the arguments of `certwright run`. */}}
{{- define "certwright.servedWebhooks" -}}
{{- $served := list }}
{{- range .Values.dns01.webhooks }}
{{- $group := .groupName }}
{{- with .serving }}
{{- $served = append $served (printf "%s=%s/%s/%s" $group .namespace .service .secret) }}
{{- end }}
{{- end }}
{{- join "," $served }}
{{- end }}
