{{/* "yes" when a feed has a client id of MQTT that is the same in every pod. */}}
{{- define "zeptodb.oneClient" -}}
{{- range .Values.ingest.feeds -}}
{{- if and .mqtt (not (contains "{node}" .mqtt.clientId)) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{/* What of feeds cannot work or would put a secret into a ConfigMap; no message shows a value that may be one. */}}
{{- define "zeptodb.validateFeeds" -}}
{{- $ingest := .Values.ingest -}}
{{- if and $ingest.feeds (not $ingest.enabled) -}}
{{- fail "ingest.feeds needs ingest.enabled=true: feeds run in ingest pods" -}}
{{- end -}}
{{- if and $ingest.feedSecrets (not $ingest.enabled) -}}
{{- fail "ingest.feedSecrets needs ingest.enabled=true: they are mounted in ingest pods" -}}
{{- end -}}
{{- range $ingest.extraArgs -}}
{{- if hasPrefix "--config" . -}}
{{- fail "ingest.extraArgs: the chart gives --config itself; its keys are in ingest.config, ingest.pipeline and ingest.feeds" -}}
{{- end -}}
{{- end -}}
{{- $folders := list -}}
{{- range $ingest.feedSecrets -}}
{{- if has .name $folders -}}
{{- fail (printf "ingest.feedSecrets: two have the name %s" .name) -}}
{{- end -}}
{{- $folders = append $folders .name -}}
{{- end -}}
{{- $taken := dict -}}
{{- range $feed := $ingest.feeds -}}
{{- $at := printf "ingest.feeds, %s" $feed.name -}}
{{- if hasKey $taken (printf "name %s" $feed.name) -}}
{{- fail (printf "%s: another feed has this name" $at) -}}
{{- end -}}
{{- $_ := set $taken (printf "name %s" $feed.name) true -}}
{{- if eq (not $feed.kafka) (not $feed.mqtt) -}}
{{- fail (printf "%s: a feed has one of kafka and mqtt" $at) -}}
{{- end -}}
{{- with $feed.kafka -}}
{{- if hasKey $taken (printf "group %s" .groupId) -}}
{{- fail (printf "%s: another feed has the kafka.groupId %s; each needs its own" $at .groupId) -}}
{{- end -}}
{{- $_ := set $taken (printf "group %s" .groupId) true -}}
{{- range $option, $value := .options -}}
{{- if regexMatch "^(security|ssl|sasl)\\.|^enable\\.(ssl|sasl)|oauthbearer" $option -}}
{{- fail (printf "%s: kafka.options.%s: TLS and SASL are not supported by this version" $at $option) -}}
{{- end -}}
{{- if regexMatch "password|secret|token|credential|jaas|\\.key|plugin\\." $option -}}
{{- fail (printf "%s: kafka.options.%s: no option of a feed may be a secret" $at $option) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $feed.mqtt -}}
{{- if hasKey $taken (printf "client %s" .clientId) -}}
{{- fail (printf "%s: another feed has the mqtt.clientId %s; each needs its own" $at .clientId) -}}
{{- end -}}
{{- $_ := set $taken (printf "client %s" .clientId) true -}}
{{- range .brokers -}}
{{- if not (regexMatch "^(tcp|mqtt|ssl|tls|mqtts)://" .) -}}
{{- fail (printf "%s: a URL in mqtt.brokers begins with tcp:// or ssl://" $at) -}}
{{- end -}}
{{- if contains "@" . -}}
{{- fail (printf "%s: a URL in mqtt.brokers has no user and no password: user and passwordFile are for them" $at) -}}
{{- end -}}
{{- end -}}
{{- $tls := .tls | default dict -}}
{{- range compact (list .passwordFile $tls.ca $tls.certificate $tls.key) -}}
{{- $folder := . | trimPrefix "/etc/zeptodb/feeds/" | dir -}}
{{- if not (has $folder $folders) -}}
{{- fail (printf "%s: %s is in no Secret: none of ingest.feedSecrets has the name %s" $at . $folder) -}}
{{- end -}}
{{- end -}}
{{- include "zeptodb.validateClient" (dict "root" $ "at" $at "mqtt" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* How many pods may have a client id. */}}
{{- define "zeptodb.validateClient" -}}
{{- $ingest := .root.Values.ingest -}}
{{- $most := ternary $ingest.autoscaling.maxReplicas $ingest.replicas $ingest.autoscaling.enabled | int -}}
{{- if not (contains "{node}" .mqtt.clientId) -}}
{{- if gt $most 1 -}}
{{- fail (printf "%s: up to %d ingest pods would shut each other out with one mqtt.clientId: set ingest.replicas=1 and ingest.autoscaling.enabled=false, or share with {node} and cleanSession" .at $most) -}}
{{- end -}}
{{- else if not (or .mqtt.cleanSession (eq (toString .mqtt.qos) "0")) -}}
{{- fail (printf "%s: {node} in mqtt.clientId is another in each new pod, so what a broker keeps for a pod that went is never fetched: say cleanSession: true to do without, or run one ingest pod with a clientId of its own" .at) -}}
{{- end -}}
{{- end -}}
