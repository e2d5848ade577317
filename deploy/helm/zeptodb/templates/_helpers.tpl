{{/* Names and labels. Selectors hold name, instance and component only: nothing in them changes with a version. */}}

{{- define "zeptodb.fullname" -}}
{{- if contains "zeptodb" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-zeptodb" (.Release.Name | trunc 32 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{/* Call with (dict "root" $ "component" "storage"). */}}
{{- define "zeptodb.selector" -}}
app.kubernetes.io/name: zeptodb
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "zeptodb.labels" -}}
{{ include "zeptodb.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: zeptodb
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "zeptodb.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "zeptodb.serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}
{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create -}}
{{ include "zeptodb.fullname" . }}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "zeptodb.headless" -}}
{{ include "zeptodb.fullname" . }}-headless
{{- end -}}

{{/* The domain under which storage pods are found. */}}
{{- define "zeptodb.domain" -}}
{{ include "zeptodb.headless" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{- define "zeptodb.coordinatorDomain" -}}
{{ include "zeptodb.fullname" . }}-coordinator-headless.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* host:port of every coordinator, separated by commas. Ids of the group are ordinals + 1. */}}
{{- define "zeptodb.coordinators" -}}
{{- $all := list -}}
{{- range $ordinal := until (int .Values.coordinator.replicas) -}}
{{- $all = append $all (printf "%s-coordinator-%d.%s:8225" (include "zeptodb.fullname" $) $ordinal (include "zeptodb.coordinatorDomain" $)) -}}
{{- end -}}
{{- join "," $all -}}
{{- end -}}

{{- define "zeptodb.members" -}}
{{- $all := list -}}
{{- range $ordinal := until (int .Values.coordinator.replicas) -}}
{{- $all = append $all (printf "%d@%s-coordinator-%d.%s:8225" (add1 $ordinal) (include "zeptodb.fullname" $) $ordinal (include "zeptodb.coordinatorDomain" $)) -}}
{{- end -}}
{{- join "," $all -}}
{{- end -}}

{{- define "zeptodb.rpcPort" -}}
{{ add 8123 (int .Values.cluster.rpcPortOffset) }}
{{- end -}}

{{- define "zeptodb.clusterId" -}}
{{ .Values.cluster.id | default (include "zeptodb.fullname" .) }}
{{- end -}}

{{- define "zeptodb.authSecret" -}}
{{ .Values.auth.existingSecret | default (printf "%s-auth" (include "zeptodb.fullname" .)) }}
{{- end -}}

{{- define "zeptodb.clusterSecret" -}}
{{ .Values.cluster.existingSecret | default (printf "%s-cluster" (include "zeptodb.fullname" .)) }}
{{- end -}}

{{/* Secret with the admin's key, empty if the chart knows none. */}}
{{- define "zeptodb.adminKeySecret" -}}
{{- if .Values.auth.adminKey.secretName -}}
{{ .Values.auth.adminKey.secretName }}
{{- else if not .Values.auth.existingSecret -}}
{{ include "zeptodb.authSecret" . }}
{{- end -}}
{{- end -}}

{{- define "zeptodb.metricsKeySecret" -}}
{{- if .Values.auth.metricsKey.secretName -}}
{{ .Values.auth.metricsKey.secretName }}
{{- else if not .Values.auth.existingSecret -}}
{{ include "zeptodb.authSecret" . }}
{{- end -}}
{{- end -}}

{{/* Whether the chart can speak to the database as admin: yes when it is open, or when it knows a key. */}}
{{- define "zeptodb.canAsk" -}}
{{- if or (not .Values.auth.enabled) (include "zeptodb.adminKeySecret" .) -}}yes{{- end -}}
{{- end -}}

{{/* Bytes of a Kubernetes quantity such as 4Gi, 500M or 1.5Gi. */}}
{{- define "zeptodb.bytes" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "memory %q: use a number with k, M, G, T, Ki, Mi, Gi or Ti" $text) -}}
{{- end -}}
{{- mulf (float64 $number) (get $units $unit) | floor | int64 -}}
{{- end -}}

{{/*
Bytes for the process; 0 leaves it to the process (75 % of the control group). While the autoscaler compares memory with
the request, the process stays below three quarters of the request: memory that is filled for speed is no load.
*/}}
{{- define "zeptodb.memoryLimit" -}}
{{- $memory := dig "requests" "memory" "" .Values.resources -}}
{{- if gt (int64 .Values.config.memoryLimit) 0 -}}
{{ int64 .Values.config.memoryLimit }}
{{- else if and .Values.cluster.enabled .Values.autoscaling.enabled (gt (int .Values.autoscaling.targetMemory) 0) $memory -}}
{{ div (mul (include "zeptodb.bytes" $memory | int64) 3) 4 }}
{{- else -}}
0
{{- end -}}
{{- end -}}

{{/* Storage pods: those that run while the autoscaler decides, else what the values say. */}}
{{- define "zeptodb.replicas" -}}
{{- $live := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "zeptodb.fullname" .) -}}
{{- if and .Values.autoscaling.enabled $live -}}
{{ $live.spec.replicas }}
{{- else -}}
{{ .Values.replicaCount }}
{{- end -}}
{{- end -}}

{{- define "zeptodb.ingestReplicas" -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace (printf "%s-ingest" (include "zeptodb.fullname" .)) -}}
{{- if and .Values.ingest.autoscaling.enabled $live -}}
{{ $live.spec.replicas }}
{{- else -}}
{{ .Values.ingest.replicas }}
{{- end -}}
{{- end -}}

{{- define "zeptodb.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "zeptodb.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Annotations of pods; call with (dict "root" $ "port" 8123). */}}
{{- define "zeptodb.podAnnotations" -}}
{{- if not .root.Values.serviceMonitor.enabled }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .port | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- with .root.Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where pods go; call with (dict "root" $ "component" "storage"). */}}
{{- define "zeptodb.placement" -}}
{{- $v := .root.Values -}}
{{- $anti := $v.podAntiAffinity -}}
{{- if $anti.enabled }}
affinity:
  podAntiAffinity:
    {{- if $anti.required }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "zeptodb.selector" . | nindent 12 }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: {{ $anti.weight }}
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "zeptodb.selector" . | nindent 14 }}
    {{- end }}
{{- end }}
{{- if $v.topologySpread.enabled }}
topologySpreadConstraints:
  - maxSkew: {{ $v.topologySpread.maxSkew }}
    topologyKey: {{ $v.topologySpread.topologyKey }}
    whenUnsatisfiable: {{ $v.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "zeptodb.selector" . | nindent 8 }}
{{- end }}
{{- $nodes := deepCopy $v.nodeSelector -}}
{{- if and (eq .component "storage") $v.karpenter.role -}}
{{- $_ := set $nodes "zeptodb.com/role" $v.karpenter.role -}}
{{- end -}}
{{- with $nodes }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "zeptodb.priorityClass" . }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "zeptodb.priorityClass" -}}
{{- if .root.Values.priorityClass.create -}}
{{ include "zeptodb.fullname" .root }}-{{ ternary "ingest" "storage" (eq .component "ingest") }}
{{- else -}}
{{ .root.Values.priorityClass.name }}
{{- end -}}
{{- end -}}

{{/* Startup, liveness and readiness of a pod that speaks HTTP on the port named http. */}}
{{- define "zeptodb.probes" -}}
startupProbe:
  httpGet: {path: /health, port: http}
  {{- toYaml .Values.probes.startup | nindent 2 }}
livenessProbe:
  httpGet: {path: /health, port: http}
  {{- toYaml .Values.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /ready, port: http}
  {{- toYaml .Values.probes.readiness | nindent 2 }}
{{- end -}}

{{/* The key by which the chart's own pods ask the database. */}}
{{- define "zeptodb.askEnv" -}}
- name: ZEPTO_URL
  value: http://{{ include "zeptodb.fullname" . }}:{{ .Values.service.port }}
{{- if .Values.auth.enabled }}
- name: ZEPTO_KEY
  valueFrom:
    secretKeyRef:
      name: {{ include "zeptodb.adminKeySecret" . }}
      key: {{ .Values.auth.adminKey.secretKey }}
{{- end }}
{{- end -}}
