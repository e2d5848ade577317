{{/* What cannot work is refused when the chart is rendered, with what to do instead. Included once, by the ConfigMap. */}}
{{- define "zeptodb.validate" -}}
{{- $v := .Values -}}
{{- $name := include "zeptodb.fullname" . -}}
{{- if or $v.backup.enabled $v.backup.restore.enabled -}}
{{- if not $v.backup.at -}}
{{- fail "backup.at is not set: s3://bucket/prefix, or /backups with backup.existingClaim" -}}
{{- end -}}
{{- if and (hasPrefix "/" $v.backup.at) (not $v.backup.existingClaim) -}}
{{- fail "backup.at is a folder, and without backup.existingClaim it would go with its pod: set it, or use s3://bucket/prefix" -}}
{{- end -}}
{{- if not (include "zeptodb.canAsk" .) -}}
{{- fail "backups need an admin's key: set auth.adminKey.secretName beside auth.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- if $v.cluster.enabled -}}
{{- if $v.persistence.existingClaim -}}
{{- fail "persistence.existingClaim is for a single pod (cluster.enabled=false): each pod of a cluster has a claim of its own" -}}
{{- end -}}
{{- if not $v.headless.enabled -}}
{{- fail "headless.enabled=false: the pods of a cluster find each other through the headless Service; set it to true, or cluster.enabled=false" -}}
{{- end -}}
{{- $least := ternary $v.autoscaling.minReplicas $v.replicaCount $v.autoscaling.enabled | int -}}
{{- if and $v.podDisruptionBudget.enabled (ge (int $v.podDisruptionBudget.minAvailable) $least) -}}
{{- fail (printf "podDisruptionBudget.minAvailable=%d with %d storage pods: no node could ever be drained; lower it, or disable the budget" (int $v.podDisruptionBudget.minAvailable) $least) -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is above autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not (or $v.autoscaling.targetCPU $v.autoscaling.targetMemory $v.autoscaling.ingestRateEnabled)) -}}
{{- fail "autoscaling.enabled without targetCPU, targetMemory or ingestRateEnabled: there is nothing to scale by" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled $v.autoscaling.targetMemory (not (dig "requests" "memory" "" $v.resources)) -}}
{{- fail "autoscaling.targetMemory is a part of resources.requests.memory, which is not set" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled $v.autoscaling.targetCPU (not (dig "requests" "cpu" "" $v.resources)) -}}
{{- fail "autoscaling.targetCPU is a part of resources.requests.cpu, which is not set" -}}
{{- end -}}
{{- if gt (int $v.cluster.minInSync) (int $v.cluster.replicationFactor) -}}
{{- fail "cluster.minInSync is above cluster.replicationFactor: no write could ever be acknowledged" -}}
{{- end -}}
{{- if not (and (lt (int $v.cluster.heartbeatIntervalMs) (int $v.cluster.suspectMs)) (lt (int $v.cluster.suspectMs) (int $v.cluster.deadMs))) -}}
{{- fail "cluster.heartbeatIntervalMs must be below cluster.suspectMs, and that below cluster.deadMs" -}}
{{- end -}}
{{- if not (and (lt (int $v.cluster.replicateTimeoutMs) (int $v.cluster.leaseMs)) (lt (int $v.cluster.leaseMs) (int $v.cluster.deadMs))) -}}
{{- fail "cluster.replicateTimeoutMs must be below cluster.leaseMs, and that below cluster.deadMs" -}}
{{- end -}}
{{- include "zeptodb.validateLive" . -}}
{{- else -}}
{{- if gt (int $v.replicaCount) 1 -}}
{{- fail (printf "replicaCount=%d needs cluster.enabled=true: %d pods without a cluster would be so many databases that know nothing of each other. Set replicaCount=1" (int $v.replicaCount) (int $v.replicaCount)) -}}
{{- end -}}
{{- if $v.autoscaling.enabled -}}
{{- fail "autoscaling.enabled needs cluster.enabled=true: a single pod cannot be scaled; set autoscaling.enabled=false" -}}
{{- end -}}
{{- if $v.podDisruptionBudget.enabled -}}
{{- fail "podDisruptionBudget.enabled needs cluster.enabled=true: a budget over a single pod would block every drain; set podDisruptionBudget.enabled=false" -}}
{{- end -}}
{{- if $v.ingest.enabled -}}
{{- fail "ingest.enabled needs cluster.enabled=true: ingest nodes take rows to the owners that coordinators name" -}}
{{- end -}}
{{- if and $v.persistence.existingClaim (not $v.persistence.enabled) -}}
{{- fail "persistence.existingClaim needs persistence.enabled=true" -}}
{{- end -}}
{{- end -}}
{{- if lt (int $v.gracefulShutdown.terminationGracePeriodSeconds) (add (int $v.gracefulShutdown.preStopSleepSeconds) 30 | int) -}}
{{- fail (printf "gracefulShutdown.terminationGracePeriodSeconds=%d: at least preStopSleepSeconds + 30, the time in which requests end and partitions are handed over" (int $v.gracefulShutdown.terminationGracePeriodSeconds)) -}}
{{- end -}}
{{- if and $v.priorityClass.create $v.priorityClass.name -}}
{{- fail "priorityClass.create makes classes of its own: leave priorityClass.name empty" -}}
{{- end -}}
{{- if and $v.auth.protectMetrics $v.serviceMonitor.enabled (not (include "zeptodb.metricsKeySecret" .)) -}}
{{- fail "auth.protectMetrics with auth.existingSecret: say in auth.metricsKey.secretName where Prometheus finds its key" -}}
{{- end -}}
{{- if and $v.auth.protectMetrics (not $v.auth.enabled) -}}
{{- fail "auth.protectMetrics needs auth.enabled=true" -}}
{{- end -}}
{{- include "zeptodb.validateFeeds" . -}}
{{- end -}}

{{/* What was fixed when the cluster was founded, seen on the running one (a render without a cluster sees nothing). */}}
{{- define "zeptodb.validateLive" -}}
{{- $v := .Values -}}
{{- $name := include "zeptodb.fullname" . -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace (printf "%s-coordinator" $name) -}}
{{- $was := dig "metadata" "annotations" "zeptodb.com/founded" "" . -}}
{{- $is := include "zeptodb.founded" $ -}}
{{- if and $was (ne $was $is) -}}
{{- fail (printf "coordinator.replicas, cluster.replicationFactor, cluster.partitions, cluster.minInSync and cluster.id are fixed when a cluster is founded: it has %s, the values say %s" $was $is) -}}
{{- end -}}
{{- end -}}
{{- with lookup "apps/v1" "StatefulSet" .Release.Namespace $name -}}
{{- if and (not $v.autoscaling.enabled) (gt (int .spec.replicas) (int $v.replicaCount)) -}}
{{- fail (printf "replicaCount=%d, and %d storage pods run: the cluster cannot be made smaller, because nothing moves the copies of the pods that would go" (int $v.replicaCount) (int .spec.replicas)) -}}
{{- end -}}
{{- $claims := .spec.volumeClaimTemplates -}}
{{- if and $v.persistence.enabled $claims -}}
{{- $size := dig "spec" "resources" "requests" "storage" "" (first $claims) -}}
{{- if ne (toString $size) (toString $v.persistence.size) -}}
{{- fail (printf "persistence.size=%s, and the StatefulSet has %s: grow the claims (kubectl patch pvc), then `kubectl delete statefulset %s --cascade=orphan`, then upgrade; see the runbook of a full disk" $v.persistence.size $size $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "zeptodb.founded" -}}
coordinators={{ .Values.coordinator.replicas }} factor={{ .Values.cluster.replicationFactor }} partitions={{ .Values.cluster.partitions }} minInSync={{ .Values.cluster.minInSync }} id={{ include "zeptodb.clusterId" . }}
{{- end -}}
